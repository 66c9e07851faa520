"""Where a workspace stands, and what to type next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mstore.backend import Activity, Entry
from mstore.history.status import Changes, Status
from mstore.objects import CommitId
from mstore.render.status import status_lines
from tests.unit.render.entries import marked

ID = CommitId(bytes([1]) * 32)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _status(**fields: Any) -> Status:
    made: dict[str, Any] = {
        "branch": "main",
        "commit": ID,
        "message": "one\nmore",
        "model_dir": Path("out").absolute(),
        **fields,
    }
    return Status(**made)


def test_nothing_changed() -> None:
    lines = list(status_lines(_status(), marked))
    assert lines[:2] == [f"On branch <green>main</> at {ID.short} one", "out: nothing changed"]
    assert len(lines) == 3 and lines[2].startswith("Next: mstore log")


def test_a_first_commit_is_what_comes_next() -> None:
    lines = list(status_lines(_status(commit=None, message=None, model_dir=None)))
    assert lines[0] == "On branch main (no commit yet)"
    assert lines[1].startswith("No model directory yet")
    assert lines[2] == "Next: mstore commit DIR -m MESSAGE"
    assert list(status_lines(_status(commit=None)))[-1] == "Next: mstore commit -m MESSAGE"


def test_a_detached_head_is_said() -> None:
    assert next(status_lines(_status(branch=None))) == f"HEAD is detached at {ID.short} one"


def test_each_change_has_its_mark() -> None:
    changes = Changes(("new\x1b",), ("b", "c"), ("d",))
    lines = list(status_lines(_status(changes=changes), marked))
    assert lines[1:-1] == [
        "out: changed since then",
        "  <green>new     </>new\\x1b",
        "  <yellow>changed </>b",
        "  <yellow>changed </>c",
        "  <red>gone    </>d",
    ]
    assert "mstore commit" in lines[-1] and "mstore diff" in lines[-1]


def test_no_name_steers_a_terminal() -> None:
    found = _status(
        branch="b\x1b",
        message="m\x1b",
        model_dir=Path("out\x1b").absolute(),
        ignored=("i\x1b",),
        copies=(Path("copies\x1b"),),
    )
    lines = list(status_lines(found, staged=[(Path("queue\x1b"), 3)]))
    assert lines[0] == f"On branch b\\x1b at {ID.short} m\\x1b"
    assert lines[1] == "out\\x1b: nothing changed"
    assert lines[2].endswith(": i\\x1b")
    assert lines[3].endswith(" copies\\x1b")
    assert lines[4].startswith("3 saves ") and lines[4].endswith(" queue\\x1b")
    assert list(status_lines(_status(problem="what\x1b")))[1] == "what\\x1b"


def test_what_others_do_in_the_store_is_said() -> None:
    left = (Entry("tmp/a", 1000), Entry("tmp/b", 500))
    now = Activity(held=("gc",), running=2, writing_bytes=4000, left=left)
    _, _, running, gc, swept, _ = status_lines(_status(activity=now))
    assert running.startswith("2 other commands") and "4.0 kB" in running
    assert gc.startswith("a gc or repack")
    assert swept.startswith("2 files (1.5 kB)")
    idle = Activity(held=("refs",), running=0, writing_bytes=0, left=())
    assert len(list(status_lines(_status(activity=idle)))) == 3


def test_the_trash_is_told_with_how_to_empty_it() -> None:
    line = list(status_lines(_status(trash_bytes=2000)))[2]
    assert line.startswith("2.0 kB in the trash") and "gc --now" in line
