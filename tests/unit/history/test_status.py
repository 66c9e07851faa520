"""status tells what other commands do, and what dead ones left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore.context import Context
from mstore.errors import UsageError
from mstore.history.status import Changes, changes_between, compare_folder, status, uncommitted_roles
from mstore.objects import Commit, ManifestId, Time
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


def test_changes_are_told_by_content(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path, model_dir=tmp_path / "out")
    write_model(tmp_path / "out")
    repo.commit(message="one")
    (tmp_path / "out/new.txt").write_text("x")
    (tmp_path / "out/config.json").write_text("{}")
    (tmp_path / "out/tokenizer.json").unlink()
    tree, changes = compare_folder(repo.context, tmp_path / "out", repo.resolve("HEAD"))
    assert changes == Changes(("new.txt",), ("config.json",), ("tokenizer.json",))
    assert changes and changes.paths() == ("new.txt", "config.json", "tokenizer.json")
    assert changes_between(tree, tree.manifest) == Changes() and not Changes()
    assert changes_between(tree, None).added == tuple(tree.entries)


def test_roles_that_were_left_out_are_no_change(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path, model_dir=tmp_path / "out")
    write_model(tmp_path / "out")
    (tmp_path / "out/optimizer.pt").write_bytes(b"state")
    repo.commit(message="one", without=["training-state"])
    assert not repo.status().changes
    assert uncommitted_roles(repo.store.commit(repo.resolve("HEAD"))) == {"training-state"}


@pytest.mark.parametrize("recorded", [None, "noise", {"without": "noise"}, {"without": []}, {}])
def test_what_is_recorded_wrong_leaves_nothing_out(recorded: Any) -> None:
    commit = Commit((), ManifestId(bytes(32)), "", Time(0, 0), "", {"recorded": recorded}, {})
    assert uncommitted_roles(commit) == frozenset() == uncommitted_roles(None)


def test_a_folder_that_is_not_clear_is_a_problem_and_no_failure(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    assert repo.status().model_dir is None and repo.status().commit is None
    for seed, name in enumerate(("one", "two")):
        repo.commit(write_model(tmp_path / name, seed=seed), message=name)
    found = repo.status()
    assert found.problem is not None and "were both committed here" in found.problem
    assert found.message == "two" and found.branches == 1
    with pytest.raises(UsageError, match="status needs a workspace"):
        status(Context(repo.store))
