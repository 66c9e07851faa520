"""Ctrl-C at every point: what a command owned is gone, and the store goes on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import mstore as package
from mstore.cli import run
from mstore.fs import temp
from tests.cli.conftest import Run
from tests.conftest import write_model

CODE = Path(package.__file__).parent
ROOMS = ("backend/", "fs/", "store/transaction.py", "store/pipeline.py", "store/pack", "store/ref")
Entries = Callable[..., list[dict[str, Any]]]
Point = tuple[str, int]


def _traced(seen: Callable[[Point], None]) -> Callable[[FrameType, str, Any], Any]:
    """Call `seen` at each line of the rooms that own temporary files."""
    rooms = tuple(str(CODE / room) for room in ROOMS)

    def line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            seen((frame.f_code.co_filename, frame.f_lineno))
        return line

    def call(frame: FrameType, event: str, _: Any) -> Any:
        return line if frame.f_code.co_filename.startswith(rooms) else None

    return call


@contextmanager
def _watched(seen: Callable[[Point], None]) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(_traced(seen))
    try:
        yield
    finally:
        sys.settrace(before)


def _pressed_at(point: Point) -> Callable[[Point], None]:
    pressed: list[Point] = []

    def seen(now: Point) -> None:
        if now == point and not pressed:
            pressed.append(now)
            raise KeyboardInterrupt

    return seen


def _in_a_child(point: Point) -> None:
    """Interrupt a commit in a process of its own: a lock that it leaves must end with it."""
    child = os.fork()
    if not child:
        signal.alarm(20)
        with _watched(_pressed_at(point)):
            run(["commit", "out", "-m", "x"])
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0, (point, status)


@pytest.fixture
def left(workshop: Path) -> Callable[[], list[str]]:
    """Temporary files of the store and the workspace."""

    def found() -> list[str]:
        at = workshop / ".mstore"
        return sorted(
            str(Path(folder, name).relative_to(at))
            for folder, _, names in os.walk(at)
            for name in names
            if name.endswith((temp.TMP, temp.LEAN, ".new"))
        )

    return found


@pytest.mark.parametrize("step", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_at_every_line_of_what_writes(
    mstore: Run, workshop: Path, entries: Entries, left: Callable[[], list[str]], step: int
) -> None:
    """Every sixth line here, all of them in the slow form."""
    mstore("init")
    write_model(workshop / "out", seed=1)
    mstore("commit", "out", "-m", "one")
    points: dict[Point, None] = {}
    write_model(workshop / "out", seed=2)
    with _watched(points.setdefault):
        mstore("commit", "out", "-m", "two")
    assert len(points) > 150
    stored, made = 2, 3
    for point in list(points)[::step]:
        write_model(workshop / "out", seed=made)
        made += 1
        _in_a_child(point)
        assert not left(), point
        count = len(entries())
        assert count in (stored, stored + 1), point
        stored = count
    mstore("fsck", "--quick")
    write_model(workshop / "out", seed=made)
    mstore("commit", "out", "-m", "last")
    assert len(entries()) == stored + 1 and not left()


def test_a_forked_process_leaves_its_parents_files(tmp_path: Path) -> None:
    file = temp.TemporaryFile(tmp_path, "x.tmp", 0o600)
    child = os.fork()
    if not child:
        temp.remove_own()
        os._exit(0)
    os.waitpid(child, 0)
    assert file.path.exists()
    temp.remove_own()
    assert not file.path.exists()
    file.release()


def test_what_was_released_stays(tmp_path: Path) -> None:
    file = temp.TemporaryFile(tmp_path, "x.tmp", 0o600)
    file.path.rename(tmp_path / "kept")
    file.release()
    temp.remove_own()
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_the_exit_of_a_process_removes_its_own(tmp_path: Path) -> None:
    import subprocess

    code = (
        "import sys, pathlib; from mstore.fs.temp import TemporaryFile;"
        "TemporaryFile(pathlib.Path(sys.argv[1]), 'x.tmp', 0o600); raise KeyboardInterrupt"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=False)
    assert done.returncode != 0 and b"KeyboardInterrupt" in done.stderr
    assert list(tmp_path.iterdir()) == []
