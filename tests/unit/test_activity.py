"""status tells what other commands do; where a disk is not a local one, the user is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore.backend import LocalBackend
from mstore.errors import StorageFailed
from mstore.fs.locks import locks_work
from mstore.fs.mounts import network_type
from mstore.objects import blob_id
from tests.conftest import write_model

MOUNTS = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /proc rw - proc proc rw
40 22 0:50 / /net rw - nfs4 server:/net rw
41 40 254:1 / /net/fast rw - xfs /dev/vdb rw
42 22 0:51 / /mnt/a\040b rw - fuse.sshfs host:/x rw
43 22 0:52 / /mnt/local rw - fuse.bindfs /dev/fuse rw
44 22 0:53 / /over rw - ext4 /dev/vdc rw
45 22 0:54 / /over rw - cifs //server/over rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/store", None),
        ("/net/ada/run/.mstore", "nfs4"),
        ("/net", "nfs4"),
        ("/nets/ada", None),
        ("/net/fast/run", None),
        ("/mnt/a b/store", "fuse.sshfs"),
        ("/mnt/local/store", None),
        ("/over/store", "cifs"),
    ],
)
def test_network_disks_are_known_by_their_mounts(folder: str, kind: str | None) -> None:
    assert network_type(Path(folder), mounts=MOUNTS) == kind


def test_here_locks_work(tmp_path: Path) -> None:
    assert locks_work(tmp_path)
    assert not locks_work(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_init_says_what_a_network_disk_promises(
    mstore: Any, workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mstore.fs.mounts.network_type", lambda path: "nfs4")
    _, _, err = mstore("init")
    assert "network file system (nfs4)" in err and "gc" in err


def test_no_catalog_lies_on_a_network_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mstore.workspace import workspace

    monkeypatch.setattr(workspace, "network_type", lambda path: "nfs4")
    monkeypatch.setattr(workspace, "USER_CACHE", tmp_path / "home")
    repo = mstore.init(tmp_path / "run")
    write_model(tmp_path / "out")
    repo.commit(tmp_path / "out")
    assert {p.name for p in (tmp_path / "home").rglob("*.sqlite")} == {"catalog.sqlite", "stat.sqlite"}
    assert not list((tmp_path / "run").rglob("*.sqlite"))


def test_init_refuses_where_locks_do_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mstore.api.discovery.locks_work", lambda path: False)
    with pytest.raises(StorageFailed, match="locks do not work"):
        mstore.init(tmp_path)


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


def test_status_on_the_command_line(mstore: Any, workshop: Path) -> None:
    mstore("init")
    write_model(workshop / "out", seed=1)
    mstore("commit", "out")
    (workshop / ".mstore/store/tmp/dead.tmp").write_bytes(b"x" * 3000)
    backend = LocalBackend(workshop / ".mstore/store")
    with backend.open_temp_roots() as roots:
        roots.add(blob_id(b"").raw)
        _, out, _ = mstore("status")
    assert "1 other command running" in out and "1 file (3.0 kB) of killed commands" in out
    assert '"running_count": 0' in mstore("status", "--json")[1]
