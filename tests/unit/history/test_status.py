"""status tells what other commands do, and what dead ones left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import mstore
from tests.conftest import write_model

_WRITER = """
import os, sys, time
from mstore.store import Store
from mstore.store.transaction import Transaction
transaction = Transaction(Store.at(__import__("pathlib").Path(sys.argv[1])))
for _ in range(3):
    transaction.put_bytes(os.urandom(2 << 20))
print("writing", flush=True)
time.sleep(60)
"""


def test_status_tells_who_writes_and_what_the_dead_left(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    found = repo.status().activity
    assert found is not None and (found.held, found.running, found.left) == ((), 0, ())
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(repo.store.path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None and writer.stdout.readline() == "writing\n"
    with repo.store.backend.lock("gc"):
        found = mstore.open(tmp_path).status().activity
    assert found is not None
    assert found.held == ("gc",) and found.running == 1 and found.writing_bytes > 4 << 20
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    found = repo.status().activity
    assert found is not None and found.running == 0
    assert sorted(os.path.splitext(e.key)[1] for e in found.left) == [".lean", ".tmp"]
    write_model(tmp_path / "out")
    repo.commit(tmp_path / "out")
    found = repo.status().activity
    assert found is not None and found.left == ()
