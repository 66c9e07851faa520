"""Lines of text: cut to a width, folded where names differ in numbers, escaped."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstore.render.page import (
    MOST_LINES,
    NEW,
    OLD,
    Page,
    folded_lines,
    grouped,
    list_text,
    natural_key,
    or_dash,
    shape_text,
    value_line,
)

NAMES = st.text(st.sampled_from("ab.0129"), min_size=1, max_size=12)


def _page(width: int = 80) -> Page:
    return Page(width, lambda text, colour: text)


@given(st.text(max_size=60), st.integers(0, 70))
def test_a_text_that_is_cut_fits_and_keeps_both_ends(text: str, room: int) -> None:
    found = _page().cut(text, room)
    assert len(found) <= max(room, 12)
    if found != text:
        begin, _, end = found.partition("…")
        assert text.startswith(begin) and text.endswith(end) and len(text) > max(room, 12)


def test_names_lose_the_part_that_all_share() -> None:
    names = ["model.layers.q.weight", "model.layers.k.weight"]
    assert _page().telling(names, 40) == names
    assert _page().telling(names, 12) == ["…q.weight", "…k.weight"]
    assert _page().telling(["a" * 30], 12) == [_page().cut("a" * 30, 12)]
    assert _page().telling([], 12) == []


def test_a_long_list_ends_in_how_many_more() -> None:
    lines = [str(i) for i in range(MOST_LINES + 2)]
    assert _page().few(lines[:-1], "keys") == lines[:-1], "never one more alone"
    assert _page().few(lines, "keys") == [*lines[:MOST_LINES], "  … and 2 more keys"]


def test_an_arrow_stands_where_two_differ() -> None:
    page = Page(80, lambda text, colour: f"<{colour}>{text}")
    assert page.arrow("a", "a") == "a"
    assert page.arrow("a", "b") == f"<{OLD}>a → <{NEW}>b"


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("plain text", "plain text"),
        ("", '""'),
        (" padded", '" padded"'),
        ("3", '"3"'),
        ("true", '"true"'),
        ("a\x1b", "a\\x1b"),
        (3, "3"),
        (0.1, "0.1"),
        (1e-5, "1e-05"),
        (math.nan, "nan"),
        (None, "null"),
        (["é", math.inf], '["é", "Infinity"]'),
    ],
)
def test_a_value_is_shown_so_that_its_kind_can_be_told(value: Any, line: str) -> None:
    assert value_line(value) == line


@given(st.lists(NAMES, min_size=1, max_size=6, unique=True))
def test_names_that_are_folded_are_told_apart_by_numbers_alone(names: list[str]) -> None:
    groups = grouped([(name, 0) for name in names])
    assert sorted(name for found, _ in groups for name in found) == sorted(names)
    for found, _ in groups:
        shapes = {re.sub(r"\d+", "*", name) for name in found}
        assert len(shapes) == 1
        pattern = re.escape(folded_lines(found)).replace(r"\*", r"\d+")
        assert all(re.fullmatch(pattern, name) for name in found)


def test_rows_of_another_kind_are_another_group() -> None:
    rows = [("h.0", "x"), ("h.1", "y"), ("h.2", "x")]
    assert grouped(rows) == [(["h.0", "h.2"], "x"), (["h.1"], "y")]


def test_layer_two_comes_before_layer_ten() -> None:
    names = ["h.10.a", "h.2.a", "h.2.b", "h", "g.3"]
    assert sorted(names, key=natural_key) == ["g.3", "h", "h.2.a", "h.2.b", "h.10.a"]


def test_small_things_are_worded() -> None:

    assert (shape_text([]), shape_text([2, 3])) == ("[]", "[2, 3]")
    assert (list_text([]), list_text(["a", "b\n"])) == ("–", "a, b\\x0a")
    assert (or_dash(None), or_dash(0.5)) == ("–", "0.5")
