"""The lines that answer a checkout, a resume and an undo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mstore.checkout.execute import CheckoutResult
from mstore.checkout.undo import Undone
from mstore.objects import Commit, CommitId, ManifestId, Time
from mstore.render.checkout import checkout_lines, resume_lines, undo_lines
from mstore.staging.resume import ResumeResult
from tests.unit.render.entries import marked

COMMIT = Commit((), ManifestId(bytes(32)), "Ada", Time(0, 0), "m")


def _result(**fields: Any) -> CheckoutResult:
    made: dict[str, Any] = {"path": None, "written": 2, "unchanged": 1, "removed": 3, **fields}
    return CheckoutResult(id=COMMIT.id, commit=COMMIT, **made)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_checkout_says_where_and_how_many() -> None:
    (line,) = checkout_lines(_result(path=Path("out").absolute()), marked)
    short = COMMIT.id.short
    assert line == f"<yellow>{short}</> → out: wrote 2 files, removed 3, left 1 unchanged"


def test_where_head_went_is_said_if_it_moved() -> None:
    assert list(checkout_lines(_result(branch="main")))[1:] == ["On branch main"]
    (_, detached) = checkout_lines(_result(detached=True))
    assert "detached" in detached and "checkout -b NAME" in detached
    assert len(list(checkout_lines(_result()))) == 1


def test_what_is_kept_the_base_and_the_line_to_paste_follow() -> None:
    lines = list(
        checkout_lines(
            _result(
                backup=Path("kept\x1b").absolute(), base=Path("base\x1b").absolute(), load="load('x')"
            )
        )
    )
    assert len(lines) == 4
    assert "mstore undo" in lines[1] and "kept\\x1b" in lines[1]
    assert lines[2].endswith("→ base\\x1b") and lines[3] == "load('x')"


def test_no_name_steers_a_terminal() -> None:
    lines = list(checkout_lines(_result(path=Path("a\x1b").absolute(), branch="b\x1b")))
    assert "→ a\\x1b:" in lines[0] and lines[1] == "On branch b\\x1b"


@pytest.mark.parametrize(("step", "said"), [(7, ", step 7"), (0, ", step 0"), (None, "")])
def test_a_resume_says_the_step_if_it_is_known(step: int | None, said: str) -> None:
    done = ResumeResult(checkout=_result(), path=Path("a\x1b"), step=step, best=None)
    assert list(resume_lines(done, marked)) == [
        f"<yellow>{COMMIT.id.short}</>{said} → a\\x1b",
        r"trainer.train(resume_from_checkpoint='a\x1b')",
    ]


def test_an_undo_says_refs_and_files() -> None:
    id = CommitId(bytes([1]) * 32)
    done = Undone(action="commit\x1b", refs={"main": id, "new\x1b": None}, restored=("a\x1b", "b"))
    assert list(undo_lines(done, marked)) == [
        "Undone: commit\\x1b",
        f"main → <yellow>{id.short}</>",
        "new\\x1b → (gone)",
        "Restored 2 files: a\\x1b, b",
    ]
    assert list(undo_lines(Undone(action="move", refs={}))) == ["Undone: move"]
