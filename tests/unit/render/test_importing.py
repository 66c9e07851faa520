"""What an import did: a folder with its commit, and what all of them take."""

from __future__ import annotations

from pathlib import Path

from mstore.commit.importing import ImportResult, PlannedImport
from mstore.commit.options import CommitResult
from mstore.formats import Facts
from mstore.objects import Commit, ManifestId, Time
from mstore.render.importing import import_lines, import_summary, imported_lines
from mstore.store import CommitSizes
from tests.unit.render.entries import marked


def _planned(name: str) -> PlannedImport:
    return PlannedImport(Path(name), "main", "step 1", 2000, None)


def _made(message: str, *, created: bool = True) -> CommitResult:
    commit = Commit((), ManifestId(bytes(32)), "Ada", Time(0, 0), message)
    return CommitResult(
        id=commit.id,
        commit=commit,
        branch="main",
        facts=Facts() if created else None,
        created=created,
        sizes=CommitSizes(3, 2000, 0),
        new_bytes=1500,
    )


def test_a_folder_stands_before_its_commit() -> None:
    made = _made("one")
    first, second = imported_lines(_planned("a\x1b"), made, marked)
    assert first == f"a\\x1b: [main <yellow>{made.id.short}</>] one"
    assert "2.0 kB" in second


def test_a_folder_that_was_there_already_is_one_line() -> None:
    (line,) = imported_lines(_planned("a"), _made("one", created=False))
    assert line.startswith("a: [main] nothing changed")


def test_all_folders_in_order_and_then_the_sum() -> None:
    result = ImportResult(
        planned=(_planned("a"), _planned("b")),
        commits=(_made("one"), _made("two")),
        size_bytes=4000,
        stored_bytes=1000,
    )
    lines = list(import_lines(result))
    assert [line.partition(":")[0] for line in lines if ": [main" in line] == ["a", "b"]
    assert lines[-1] == import_summary(result) == "4.0 kB in 2 checkpoints → 1.0 kB"


def test_an_import_that_was_interrupted_shows_what_it_committed() -> None:
    result = ImportResult(planned=(_planned("a"), _planned("b")), commits=(_made("one"),))
    lines = list(import_lines(result))
    assert lines[0].startswith("a: ") and not any(line.startswith("b: ") for line in lines)


def test_one_is_said_as_one() -> None:
    assert import_summary(ImportResult(planned=(_planned("a"),))) == "0 B in 1 checkpoint → 0 B"
