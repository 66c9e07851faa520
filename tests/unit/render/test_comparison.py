"""A comparison as a table, and as one of Markdown."""

from __future__ import annotations

from typing import Any

from mstore.compare.versions import Comparison
from mstore.render.comparison import comparison_lines, markdown_lines
from tests.unit.render.entries import entries, marked


def _found(*rows: tuple[str, tuple[Any, ...]], hidden: int = 0) -> Comparison:
    made = tuple(entries(("one\x1b", ()), ("two", ())))
    return Comparison(entries=made, rows=rows, equal=3, hidden=hidden)


def test_a_column_a_version_and_a_count_of_the_rest() -> None:
    found = _found(("loss", (0.5, None)), ("lr\x1b", ("a\x1b", 2)))
    one, two = (entry.id.short for entry in found.entries)
    first = f"{one} one\\x1b"
    assert list(comparison_lines(found, marked)) == [
        f"<bold>{'':6}  {first}  {two} two</>",
        f"loss    {'0.5':{len(first)}}  –",
        "lr\\x1b  " + "a\\x1b".ljust(len(first)) + "  2",
        "<dim>(3 equal rows left out)</>",
    ]


def test_what_is_hidden_is_counted_with_how_to_see_it() -> None:
    last = list(comparison_lines(_found(hidden=4)))[-1]
    assert last.startswith("(3 equal rows left out; ") and "--all shows 4 more" in last


def test_long_cells_are_cut_where_asked() -> None:
    found = _found(("name", ("x" * 50, "y")))
    assert "x" * 9 + "…" in list(comparison_lines(found, widest=10))[1]
    assert "x" * 50 in list(comparison_lines(found))[1]


def test_markdown_has_a_rule_and_no_bar_of_its_own() -> None:
    found = _found(("a|b", ("x|y\x1b", 1)))
    heading, rule, row = markdown_lines(found)
    assert heading.startswith("|  | ") and rule == "| --- | --- | --- |"
    assert row == r"| a\|b | x\|y\x1b | 1 |"
