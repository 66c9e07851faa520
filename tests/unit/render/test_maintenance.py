"""What gc, forget, repack and repair did."""

from __future__ import annotations

from mstore.maintain.findings import FsckResult, Problem
from mstore.maintain.forget import ForgetResult
from mstore.maintain.gc_run import GcResult
from mstore.maintain.repack import RepackResult
from mstore.maintain.repair import RepairResult
from mstore.render.fsck import fsck_lines
from mstore.render.maintenance import forget_lines, gc_lines, repack_lines, repair_lines
from tests.unit.render.entries import marked


def test_gc_says_what_it_freed_and_what_is_not_free_yet() -> None:
    (line,) = gc_lines(GcResult(freed_bytes=5000, removed=3, written=2))
    for part in ("5.0 kB", "3 packs", "wrote 2"):
        assert part in line
    _, trash, stay = gc_lines(GcResult(trash_bytes=7000, undeleted=4))
    assert trash.startswith("7.0 kB") and "gc --now" in trash
    assert stay.startswith("kept 4 packs")


def test_forget_says_what_it_freed() -> None:
    assert list(forget_lines(ForgetResult(commits=2, freed_bytes=1500))) == ["freed 1.5 kB"]


def test_a_repack_says_both_sizes_or_that_nothing_changed() -> None:
    done = RepackResult(before_bytes=9000, after_bytes=4000, removed=6, written=2)
    (line,) = repack_lines(done)
    assert line.startswith("9.0 kB → 4.0 kB: ") and "6 packs" in line and line.endswith("2")
    done = RepackResult(before_bytes=9000, after_bytes=4000, removed=6, written=2, kept=3)
    (kept,) = repack_lines(done)
    assert kept.startswith(line + ", kept 3 ")
    (nothing,) = repack_lines(RepackResult(before_bytes=9000, after_bytes=9000, worth=False))
    assert nothing.startswith("9.0 kB: ") and "→" not in nothing


def test_a_repair_says_each_thing_and_then_what_fsck_says() -> None:
    found = FsckResult(problems=(Problem("blob", "is lost"),), commits=3)
    first, *rest = repair_lines(RepairResult(done=("logs/a\x1b: kept",), found=found), marked)
    assert first == "<green>repaired</>: logs/a\\x1b: kept"
    assert rest == list(fsck_lines(found, marked)) and len(rest) == 2
