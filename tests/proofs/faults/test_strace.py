"""Faults injected below everything, sqlite3 included, by strace into the real command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mstore
from tests.proofs.faults.commands import acknowledged_in, seen, start, write_tree

_STRACE = shutil.which("strace")


def _traces() -> bool:
    if _STRACE is None:
        return False
    done = subprocess.run(
        [_STRACE, "-qq", "-e", "inject=fsync:error=EIO", "true"], capture_output=True, check=False
    )
    return done.returncode == 0


pytestmark = pytest.mark.skipif(not _traces(), reason="strace is not there, or may not trace")

# The interpreter itself makes none of these, so that the n-th one is ours or sqlite3's.
CALLS = ("fsync", "pwrite64", "link", "rename", "unlink", "mkdir", "ftruncate")
FAULTS = ("error=EIO", "error=ENOSPC", "error=EINTR", "signal=KILL")


def _run(root: Path, *line: str, inject: str | None = None) -> int:
    environment = {**os.environ, "MSTORE_AUTHOR": "Ada", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "mstore", *line]
    if inject is not None:
        assert _STRACE is not None
        command = [_STRACE, "-f", "-qq", "-o", os.devnull, "-e", f"inject={inject}", *command]
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr and "defect of mstore" not in done.stderr, done.stderr
    return done.returncode


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_a_commit_below_the_interpreter(tmp_path: Path, call: str, fault: str) -> None:
    """The n-th call of a kind fails or kills; then everything is as it must be."""
    when = 1 + (CALLS.index(call) + FAULTS.index(fault)) % 5
    start(tmp_path)
    write_tree(tmp_path / "out", 4, state=True)
    with mstore.open(workspace=tmp_path) as repo:
        right = acknowledged_in(repo)
    before = seen(tmp_path).branches["main"]
    code = _run(tmp_path, "commit", "-m", "fourth", inject=f"{call}:{fault}:when={when}")
    after = seen(tmp_path).branches["main"]
    assert after == before or after[1:] == before
    if code == 0:
        assert after[1:] == before
    with mstore.open(workspace=tmp_path) as repo:
        found = repo.fsck()
        assert found.ok, found.problems
        for id, files in right.items():
            assert {p: repo.read_file(id, p) for p in files} == files
    assert _run(tmp_path, "commit", "-m", "fourth") == 0
    assert seen(tmp_path).branches["main"][1:] == before
