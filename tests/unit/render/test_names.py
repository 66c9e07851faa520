"""Lists of branches and tags, and where a ref has been."""

from __future__ import annotations

from mstore.history.branches import Branch
from mstore.history.tags import TagEntry
from mstore.objects import Commit, CommitId, ManifestId, Tag, Time
from mstore.render.names import branch_lines, reflog_lines, tag_lines
from mstore.store import Move, Record
from tests.unit.render.entries import marked

LATER = Time(4 * 10**18, 0)
"""A time whose age stays the same for a hundred years."""
A, B = (CommitId(bytes([n]) * 32) for n in (1, 2))
AGE = "in the future"


def _branch(name: str, message: str, *, current: bool = False) -> Branch:
    commit = Commit((), ManifestId(bytes(32)), "Ada", LATER, message)
    return Branch(name=name, id=commit.id, commit=commit, current=current)


def test_branches_are_aligned_and_the_current_one_is_marked() -> None:
    main, other = _branch("main", "one\nmore", current=True), _branch("x\x1b", "two\x1b")
    assert list(branch_lines([main, other], marked)) == [
        f"<green>* </>main   {main.id.short}  {AGE}  one",
        f"  x\\x1b  {other.id.short}  {AGE}  two\\x1b",
    ]
    assert list(branch_lines([])) == []


def test_tags_have_the_first_line_of_what_was_said() -> None:
    said = TagEntry(name="v1", id=A, tag=Tag(A, "v1", "best\x1b\nmore", "Ada", Time(0, 0)))
    assert list(tag_lines([said, TagEntry(name="v10\x1b", id=B, tag=None)], marked)) == [
        f"v1       <yellow>{A.short}</>  best\\x1b",
        f"v10\\x1b  <yellow>{B.short}</>",
    ]
    assert list(tag_lines([])) == []


def test_moves_are_numbered_from_the_latest() -> None:
    moves = [Move("delete", "gone\x1b", "Ada\x1b", LATER), Move("com\x1bmit", "one", "Bob", LATER)]
    records = [Record(2, A, None, moves[0]), Record(1, None, A, moves[1])]
    assert list(reflog_lines(records, "ma\x1bin", marked)) == [
        rf"<yellow>-------</> ma\x1bin@{{0}}  {AGE}  delete: gone\x1b  (Ada\x1b)",
        rf"<yellow>{A.short}</> ma\x1bin@{{1}}  {AGE}  com\x1bmit: one  (Bob)",
    ]
