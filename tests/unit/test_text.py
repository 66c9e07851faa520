"""Text that goes to people: nothing steers a terminal; sizes, numbers and ages can be read."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstore.objects import decode, encode
from mstore.text import (
    age,
    counted,
    display_path,
    escaped,
    jsonable,
    loss_texts,
    near_hint,
    near_names,
    number,
    size,
    some_names,
    storable,
)


@given(st.text(st.characters(exclude_characters="\\"), max_size=40))
def test_escaped_text_steers_nothing_and_loses_nothing(text: str) -> None:
    shown = escaped(text)
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in shown)
    written = re.compile(r"\\(?:x(..)|u(.{4})|U(.{8}))")
    assert written.sub(lambda m: chr(int(m[m.lastindex or 1], 16)), shown) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("naïve 中", "naïve 中"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\u202eb", "a\\u202eb"),
        ("\udce9", "\\udce9"),
        ("\U000e0001", "\\U000e0001"),
        ("a\tb\n", "a\\x09b\\x0a"),
    ],
)
def test_what_steers_is_written_out(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_lines_may_stay_lines() -> None:
    assert escaped("a\tb\n\r", newlines=True) == "a\tb\n\\x0d"


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_949, "1000 kB"),
        (999_950, "1.0 MB"),
        (5_300_000_000, "5.3 GB"),
        (999_000_000_000, "999 GB"),
        (999_950_000_000, "1000 GB"),
        (10**15, "1000.0 TB"),
        (-1500, "-1.5 kB"),
    ],
)
def test_sizes(count: int, shown: str) -> None:
    assert size(count) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (3, "3"),
        (3.0, "3"),
        (-0.0, "0"),
        (1e15, "1e+15"),
        (0.000123456, "0.0001235"),
        (2.5, "2.5"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (True, "True"),
        (10**40, str(10**40)),
        ("a\x1b", "a\\x1b"),
        (None, "None"),
    ],
)
def test_numbers(value: Any, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-61, "in the future"),
        (-5, "0 s ago"),
        (89, "89 s ago"),
        (90, "2 min ago"),
        (89 * 60, "89 min ago"),
        (90 * 60, "2 h ago"),
        (35 * 3600, "35 h ago"),
        (36 * 3600, "2 d ago"),
        (14 * 86400, "2 w ago"),
        (70 * 86400, "2 mo ago"),
        (730 * 86400, "2 y ago"),
    ],
)
def test_ages(seconds: int, shown: str) -> None:
    now = 1_700_000_000 * 10**9
    assert age(now - seconds * 10**9, now_ns=now) == shown


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_anything_becomes_strict_json(value: Any) -> None:
    document = jsonable(value)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert jsonable(document) == document


def test_what_json_has_no_word_for() -> None:
    found = jsonable({1: (math.nan, math.inf, -math.inf, b"\x00\xff")})
    assert found == {"1": ["NaN", "Infinity", "-Infinity", "00ff"]}


@given(JSON)
def test_storable_metadata_is_encoded_and_read_back(value: Any) -> None:
    """What `storable` gives, an object can hold."""
    found = storable({"x": value})
    again = decode(encode(found), "metadata")
    assert encode(again) == encode(found)


def test_integers_beyond_64_bits_become_text() -> None:
    assert storable([2**64, -(2**64), 2**64 - 1, -(2**64) - 1, True]) == [
        str(2**64),
        -(2**64),
        2**64 - 1,
        str(-(2**64) - 1),
        True,
    ]
    assert storable({3: (1, 2)}) == {"3": [1, 2]}


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, ""), (2, "p0, p1"), (6, "p0, p1, p2, p3, p4, p5"), (8, "p0, p1, p2, p3, p4, p5 and 2 more")],
)
def test_many_names_are_one_line(count: int, text: str) -> None:
    assert some_names(tuple(f"p{i}" for i in range(count))) == text


def test_paths_are_shown_as_one_would_type_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a/b/c")
    assert display_path(tmp_path / "a/b/c/out") == "out"
    assert display_path(tmp_path / "a/b/out") == "../out"
    assert display_path(tmp_path / "out") == str(tmp_path / "out")


def test_near_names_are_the_likeliest_and_a_hint_of_none_is_none() -> None:
    assert near_names("mian", ["main", "other", "man"]) == ("man", "main")
    assert near_hint(near_names("mian", ["main"])) == "near it: main"
    assert near_hint(near_names("zzz", ["main"])) is None


def test_losses_are_named_and_rounded_and_others_left_out() -> None:
    assert loss_texts({"eval_loss": 2.0, "acc": 1.0, "loss": 1.23456}) == ["loss 1.235", "eval loss 2"]
    assert loss_texts({}) == []


def test_a_count_has_its_noun_in_the_plural_where_needed() -> None:
    assert [counted(n, "key") for n in (0, 1, 2)] == ["0 keys", "1 key", "2 keys"]
