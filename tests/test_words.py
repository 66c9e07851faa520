"""Words of docs/glossary.md: what the code once called by names of its own has the field's names."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import mstore

CODE = Path(mstore.__file__).parent
BANNED = {
    "DeadCommit": "UnreachableCommit",
    "Found": "Scan",
    "FoundFile": "ScannedFile",
    "Held": "LocalCopy",
    "Lean": "TempRoots",
    "Place": "Context",
    "Refused": "InvalidInput",
    "Shown": "CommitDetails",
    "Side": "DiffSide",
    "Unconfirmed": "DurabilityUnknown",
    "Vanished": "ObjectRemoved",
    "again": "recode_source, rewrite",
    "alike": "json_equal, find_similar",
    "apart": "exclude",
    "bring_back": "undelete, roll_back",
    "came_back": "undeleted",
    "check_whole": "check_complete",
    "clear_way": "clear_obstruction",
    "firm": "required",
    "from_plain": "from_dict, from_list",
    "going_on": "defer_unconfirmed",
    "head_ready": "prepare_head",
    "in_the_way": "find_obstructions",
    "lean": "open_temp_roots",
    "lean_on": "protect",
    "leaning_on": "protecting",
    "leans": "temporary_roots",
    "leant_on": "temporary_roots_of",
    "let_go": "purged",
    "mend_log": "repair_reflog",
    "mended": "repaired",
    "put_away": "soft_delete",
    "reach_of": "reachability_of",
    "remembering": "journaled",
    "set_aside": "stash_existing",
    "sought": "filter_and_sort",
    "standing": "prepare_head",
    "take_in": "index_pack",
    "whatever": "force",
}
"""Names in code → what they are called."""


def banned_names(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of each banned name in a module's code (comments and texts are not code)."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.NAME or "renamed_field(" in token.line:
            continue  # The names of earlier releases still work.
        if token.string in BANNED:
            yield token.start[0], token.string


@pytest.mark.parametrize("path", sorted(CODE.rglob("*.py")), ids=lambda p: str(p.relative_to(CODE)))
def test_the_fields_names_are_used(path: Path) -> None:
    found = [f"line {n}: {name} is {BANNED[name]}" for n, name in banned_names(path.read_text())]
    assert not found, "\n".join(found)


def test_a_banned_name_is_found() -> None:
    source = 'def f(place):\n    """leans"""\n    return place.head_ready  # lean\n'
    assert list(banned_names(source)) == [(3, "head_ready")]


def test_no_two_classes_have_one_name() -> None:
    seen: dict[str, str] = {}
    for path in sorted(CODE.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                where, name = str(path.relative_to(CODE)), node.name.lstrip("_")
                assert name not in seen, f"{name} is in {seen[name]} and in {where}"
                seen[name] = where
    assert len(seen) > 100
