"""What the tests of bad inputs share: a snapshot of everything that must stay, and numbered ids.

A test's id begins with `n` and the number that it has in the list of bad inputs,
so that a gap in the list is found (test_numbers.py).
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

NOBODY = 65534


def numbered(name: str, cases: Mapping[str, Any]) -> pytest.MarkDecorator:
    """`parametrize` over cases whose ids carry their number: `n48-symlink-outside`."""
    return pytest.mark.parametrize(name, [pytest.param(case, id=id) for id, case in cases.items()])


def listing(folder: Path, *, leave_out: tuple[str, ...] = ()) -> dict[str, tuple[str, bytes]]:
    """Everything below a folder by path: its kind, and its bytes or where it leads."""
    found: dict[str, tuple[str, bytes]] = {}
    folders = [folder]
    while folders:
        for entry in os.scandir(folders.pop()):
            path = Path(entry.path).relative_to(folder).as_posix()
            if path in leave_out:
                continue
            mode = os.lstat(entry.path).st_mode
            if stat.S_ISLNK(mode):
                found[path] = ("link", os.fsencode(os.readlink(entry.path)))
            elif stat.S_ISDIR(mode):
                found[path] = ("folder", b"")
                folders.append(Path(entry.path))
            elif stat.S_ISREG(mode):
                found[path] = ("file", Path(entry.path).read_bytes())
            else:
                found[path] = ("special", str(stat.S_IFMT(mode)).encode())
    return found


def state(workspace: Path) -> dict[str, tuple[str, bytes]]:
    """What a refused input must leave as it was: store, refs, logs, HEAD, workspace.

    Without temporary files and the caches, which mean nothing.
    """
    return listing(workspace / ".mstore", leave_out=("store/tmp", "cache"))


class Unchanged:
    """A context that asserts that workspace and folders are in the end what they were."""

    def __init__(self, workspace: Path, *folders: Path) -> None:
        self.workspace, self.folders = workspace, folders

    def _now(self) -> list[dict[str, tuple[str, bytes]]]:
        return [state(self.workspace), *(listing(f) for f in self.folders)]

    def __enter__(self) -> Unchanged:
        self.before = self._now()
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        if kind is not None:
            return
        for was, now in zip(self.before, self._now(), strict=True):
            assert sorted(was) == sorted(now)
            assert {k: (was[k], now[k]) for k in was if was[k] != now[k]} == {}
        temporary = self.workspace / ".mstore/store/tmp"
        assert not temporary.exists() or not list(temporary.iterdir()), "a temporary file is left"


def as_nobody(arguments: list[str], *, folder: Path) -> tuple[int, str, str]:
    """Run a command line as a user without rights, in a child of this process.

    A fork, since an interpreter that lies in root's home cannot be started by
    another user. Where the tests do not run as root, their user is such a one.
    """
    from mstore.cli import run

    _warm()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:  # pragma: no cover - another process
            code = 99
            try:
                if os.geteuid() == 0:
                    os.setgroups([])
                    os.setgid(NOBODY)
                    os.setuid(NOBODY)
                os.environ["HOME"] = os.environ["XDG_CACHE_HOME"] = "/nonexistent"
                os.chdir(folder)
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
                sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
                code = run(arguments)
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    assert "Traceback" not in texts[1]
    assert "defect of mstore" not in texts[1], texts[1]
    return os.waitstatus_to_exitcode(status), texts[0], texts[1]


@cache
def _warm() -> None:
    """Import what commands import: the child may not be able to read the interpreter's folder."""
    from mstore.cli import run
    from tests.conftest import write_model

    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            write_model(Path("out"))
            Path("out/.mstoreignore").write_text("*.log\n")
            for line in (
                "init",
                "commit out -m x",
                "status",
                "log --all",
                "log --graph",
                "show",
                "ls --tensors",
                "cat HEAD config.json",
                "diff --stat",
                "checkout HEAD --to to",
                "checkout nowhere",
                "fsck",
                "branch b",
                "note HEAD --metric a=1",
                "undo",
            ):
                run(line.split())
        finally:
            os.chdir(here)
