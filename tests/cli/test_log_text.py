"""Listings of versions: lines that are aligned, one line each, and the graph."""

from __future__ import annotations

import math
from typing import Any

import click
import pytest

from mstore.cli import log_text
from mstore.history.entry import LogEntry
from mstore.objects import Commit, ManifestId, Time


def _entries(*rows: tuple[str, tuple[int, ...]], **more: Any) -> list[LogEntry]:
    """Versions by message and the rows of their parents, which come later."""
    made: dict[int, LogEntry] = {}
    for place in reversed(range(len(rows))):
        message, parents = rows[place]
        ids = tuple(made[parent].id for parent in parents)
        commit = Commit(
            ids,
            ManifestId(bytes(32)),
            "Ada",
            Time(place, 0),
            message,
            more.get("metadata", {}),
            more.get("metrics", {}),
        )
        made[place] = LogEntry(commit.id, commit, more.get("refs", ()))
    return [made[place] for place in range(len(rows))]


def _graph(*rows: tuple[str, tuple[int, ...]]) -> list[str]:
    entries = _entries(*rows)
    text = "\n".join(click.unstyle(line).rstrip() for line in log_text.graph(iter(entries), brief=True))
    for entry in entries:
        text = text.replace(entry.id.short + " ", "")
    return text.split("\n")


def test_a_line_of_history_is_a_row_of_stars() -> None:
    assert _graph(("b", (1,)), ("a", ())) == ["* b", "* a"]


def test_a_merge_opens_a_column_and_closes_it_where_the_lines_meet() -> None:
    assert _graph(("merge", (1, 2)), ("left", (3,)), ("right", (3,)), ("root", ())) == [
        "* merge",
        "|\\",
        "* | left",
        "| * right",
        "|/",
        "* root",
    ]


def test_branches_beside_each_other_have_columns_of_their_own() -> None:
    assert _graph(("one", (2,)), ("two", (2,)), ("root", ()), ("alone", ())) == [
        "* one",
        "| * two",
        "|/",
        "* root",
        "* alone",
    ]


def test_each_version_stands_in_the_graph_once() -> None:
    lines = _graph(("a", (1, 2, 3)), ("b", (4,)), ("c", (4,)), ("d", (4,)), ("e", ()))
    assert [line.split()[-1] for line in lines if "*" in line] == ["a", "b", "c", "d", "e"]


def test_lines_are_aligned_and_columns_without_anything_left_out() -> None:
    entries = _entries(("a longer message", (1,)), ("short", ()), metrics={"loss": 1.5})
    lines = list(log_text.lines(iter(entries), ("id", "message", "loss", "nothing"), chosen=False))
    assert lines[0].split() == ["id", "message", "loss"]
    assert len({line.rindex("1.5") for line in lines[1:]}) == 1
    chosen = list(log_text.lines(iter(entries), ("id", "nothing"), chosen=True))
    assert chosen[0].split() == ["id", "nothing"]


def test_one_line_has_id_names_and_what_is_wrong() -> None:
    health = {"health": {"not_finite": "x"}}
    (entry,) = _entries(("one\x1b\nmore", ()), refs=("HEAD", "main"), metadata=health)
    assert click.unstyle(log_text.one_line(entry)) == f"{entry.id.short} (HEAD, main) ! NaN · one\\x1b"


def test_facts_that_the_message_says_are_not_said_twice() -> None:
    (entry,) = _entries(("step 3 · loss 1.5", ()), metrics={"loss": 1.5, "eval_loss": 2.0})
    assert click.unstyle(log_text.fact_line(entry)).endswith("loss 1.5  eval loss 2")


def test_a_table_is_for_a_terminal() -> None:
    entries = _entries(("a", ()), metrics={"loss": 1.5})
    with click.Context(click.Command("log")):
        head, row = log_text.table(entries, ("id", "message", "loss"), chosen=False)
    assert click.unstyle(head).split() == ["id", "message", "loss"]
    assert click.unstyle(row).split() == [entries[0].id.short, "a", "1.5"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (1.5, "1.5"), ("a\x1b", "a\\x1b"), ({"x": [math.nan]}, '{"x": ["NaN"]}')],
)
def test_values_of_any_kind_have_a_text(value: Any, text: str) -> None:
    assert log_text.any_text(value) == text
