"""Plain values: when two are alike, and nested ones as one level."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstore.objects.json_values import flattened, json_equal

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_each_value_is_itself_nan_included(value: Any) -> None:
    assert json_equal(value, copy.deepcopy(value))


@given(VALUES, VALUES)
def test_being_alike_has_no_direction(one: Any, other: Any) -> None:
    assert json_equal(one, other) == json_equal(other, one)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (False, 0, False),
        (None, 0, False),
        (None, None, True),
        ("1", 1, False),
        ([1, math.nan], [1.0, math.nan], True),
        ([1], [1, 2], False),
        ({"a": [1]}, {"a": [1.0]}, True),
        ({"a": 1}, {"b": 1}, False),
        ({"a": True}, {"a": 1}, False),
        (10**400, math.inf, False),
        (10**400, math.nan, False),
    ],
)
def test_what_is_alike(one: Any, other: Any, equal: bool) -> None:
    assert json_equal(one, other) is equal


def test_nested_objects_become_paths_and_an_empty_one_is_a_value() -> None:
    value = {"a": {"b": 1, "c": {}}, "d": [{"e": 2}], "f": {"g": {"h": None}}}
    assert flattened(value) == {"a.b": 1, "a.c": {}, "d": [{"e": 2}], "f.g.h": None}
    assert flattened({}) == {}


@given(VALUES)
def test_what_is_flat_stays_so(value: Any) -> None:
    once = flattened({"x": value})
    assert json_equal(flattened(once), once)
