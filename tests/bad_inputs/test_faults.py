"""Bad inputs 65 to 70: disks that fail, processes that die, others at work, clocks that lie.

The whole of it is in tests/proofs; here each number has its case.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mstore
from mstore.backend import LocalBackend
from mstore.errors import RefMoved, StorageFailed
from mstore.objects import Time
from mstore.store.transaction import Transaction
from tests.bad_inputs.stand import numbered
from tests.proofs.faults.commands import COMMANDS, files_of, write_tree
from tests.proofs.faults.shim import Fault
from tests.proofs.faults.sweep import sweep
from tests.proofs.race.storm import storm

NEEDS_PROC = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="tells paths of descriptors by /proc"
)
COMMIT = next(command for command in COMMANDS if command.name == "commit")
_YEAR_S = 365 * 86_400


@pytest.fixture(autouse=True)
def _author(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSTORE_AUTHOR", "Ada")


@NEEDS_PROC
@numbered(
    "fault",
    {
        "n65-ENOSPC": Fault.ENOSPC,
        "n65-EDQUOT": Fault.EDQUOT,
        "n65-EIO": Fault.EIO,
        "n65-EINTR": Fault.EINTR,
        "n65-short-write": Fault.SHORT,
        "n67-killed-before": Fault.KILL_BEFORE,
        "n67-killed-after": Fault.KILL_AFTER,
    },
)
def test_a_commit_that_meets_a_fault(fault: Fault) -> None:
    tally = sweep(COMMIT, (fault,), every=1 if fault is Fault.SHORT else 5)
    assert tally.cases >= 3
    assert not tally.wrong, "\n".join(tally.wrong)


def test_n66_a_sync_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, nothing has changed, and the next attempt writes anew. In full: test_protocol.py."""
    repo = mstore.init(tmp_path, model_dir=tmp_path / "out")
    write_tree(tmp_path / "out", 1)
    real = os.fsync

    def failing(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(StorageFailed, match="Input/output"):
        repo.commit(message="first")
    monkeypatch.setattr(os, "fsync", real)
    assert repo.branches() == {}
    assert repo.commit(message="first").created
    assert repo.fsck().ok


def test_n68_gc_beside_commit_beside_checkout(tmp_path: Path) -> None:
    result = storm(tmp_path / "storm", processes=4, commits=8, kill_every_s=5.0)
    assert not result.violations, result
    assert result.acknowledged == 32


def test_n69_two_commits_to_one_branch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is told what to type, and typing it keeps both."""
    first = mstore.init(tmp_path / "a", store=tmp_path / "store")
    second = mstore.init(tmp_path / "b", store=tmp_path / "store")
    write_tree(tmp_path / "m", 0)
    first.commit(tmp_path / "m", message="zero")
    begun = {"other": True}
    write_tree(tmp_path / "m1", 1)
    write_tree(tmp_path / "m2", 2)
    from mstore.commit import execute as module

    class Slow(Transaction):
        def publish(self) -> tuple[bytes, ...]:
            published = super().publish()
            if begun.pop("other", None):
                first.commit(tmp_path / "m1", message="one")
            return published

    with monkeypatch.context() as once, pytest.raises(RefMoved) as caught:
        once.setattr(module, "Transaction", Slow)
        second.commit(tmp_path / "m2", message="two")
    assert caught.value.exit_code == 5
    assert caught.value.hint is not None and "--append" in caught.value.hint
    second.commit(tmp_path / "m2", message="two", append=True)
    assert [e.commit.message for e in first.log("main")] == ["two", "one", "zero"]
    assert first.fsck().ok


@numbered("shift_s", {"n70-a-year-ahead": _YEAR_S, "n70-a-year-behind": -_YEAR_S})
def test_a_clock_that_is_a_year_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift_s: int
) -> None:
    """Order is what parents say; gc and sweeping take nothing for old that is in use."""
    repo = mstore.init(tmp_path, model_dir=tmp_path / "out")
    made = []
    real_s, real_ns, real_now = time.time, time.time_ns, Time.now
    for seed, shift in enumerate((0, shift_s, 0)):
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda shift=shift: real_s() + shift)
            patch.setattr(time, "time_ns", lambda shift=shift: real_ns() + shift * 10**9)
            then = real_now()
            patch.setattr(Time, "now", lambda shift=shift, at=then: Time(at.ns + shift * 10**9, 0))
            write_tree(tmp_path / "out", seed)
            made.append(repo.commit(message=str(seed)).id)
            assert repo.commit().created is False
            repo.gc()
    assert [e.id for e in repo.log()] == made[::-1]
    for seed, id in enumerate(made):
        write_tree(tmp_path / "again", seed)
        right = files_of(tmp_path / "again")
        assert {p: repo.read_file(id, p) for p in right} == right
    assert repo.fsck().ok


def test_n70_a_process_id_used_again(tmp_path: Path) -> None:
    """Whose a temporary file is, the kernel's lock says: no id stands anywhere."""
    mstore.init(tmp_path).close()
    store = tmp_path / ".mstore/store"
    dead = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, sys; from pathlib import Path; from mstore.backend import LocalBackend;"
            "upload = LocalBackend(Path(sys.argv[1])).put_new(); upload.write(b'x' * 2_000_000);"
            "os.kill(os.getpid(), 9)",
            str(store),
        ],
        check=False,
    )
    assert dead.returncode == -9
    (left,) = (store / "tmp").iterdir()
    # Whatever process has that number now is not asked; neither is the clock.
    os.utime(left, (real := time.time() + _YEAR_S, real))
    backend = LocalBackend(store)
    with backend.put_new() as upload:
        upload.write(b"alive" * 500_000)
        os.utime(next(p for p in (store / "tmp").iterdir() if p != left), (0, 0))
        assert backend.sweep() == 1
        assert not left.exists()
        assert upload.publish("packs/00/a")
