"""What a check found: each problem, who needs it, what to do, and what was checked."""

from __future__ import annotations

from mstore.maintain.findings import FsckResult, Problem
from mstore.render.fsck import fsck_lines
from tests.unit.render.entries import marked


def test_a_sound_store_is_one_line_of_counts() -> None:
    found = FsckResult(packs=2, objects=30, commits=4, bytes_read=5000)
    (line,) = fsck_lines(found)
    for part in ("4 commits", "30 objects", "2 packs", "5.0 kB", "every id", "all well"):
        assert part in line
    (quick,) = fsck_lines(FsckResult(quick=True))
    assert "every id" not in quick and "sums" in quick


def test_a_problem_is_told_with_who_needs_it_and_what_to_do() -> None:
    problem = Problem("pack\x1b", "is torn\x1b", ("abc:a\x1b", "def:b"), "type x\x1b")
    note = Problem("logs/main", "is unfinished")
    *lines, last = fsck_lines(FsckResult(problems=(problem,), warnings=(note,)), marked)
    assert lines == [
        "<red>damaged</>: pack\\x1b: is torn\\x1b",
        "    needed by abc:a\\x1b",
        "    needed by def:b",
        "    type x\\x1b",
        "<yellow>note</>: logs/main: is unfinished",
    ]
    assert last.endswith("DAMAGED")


def test_a_note_alone_is_no_damage() -> None:
    *_, last = fsck_lines(FsckResult(warnings=(Problem("x", "y"),)))
    assert last.endswith("all well")
