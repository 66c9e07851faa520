"""The graph of versions."""

from __future__ import annotations

from mstore.render.graph import graph_lines
from tests.unit.render.entries import entries


def _graph(*rows: tuple[str, tuple[int, ...]]) -> list[str]:
    shown = entries(*rows)
    text = "\n".join(line.rstrip() for line in graph_lines(iter(shown), brief=True))
    for entry in shown:
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
