"""Conditions as values: what holds of which version, and how they are written."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstore.history.query.where import parse
from mstore.history.query.where_ast import Condition, Joined, Name, Not, Relation

KNOWN: dict[str, Any] = {
    "n": 3,
    "x": 2.5,
    "nan": math.nan,
    "yes": True,
    "text": "tuned",
    "list": [1, "a"],
    "map": {"a": 1},
}


def _holds(left: Any, operator: str, right: Any) -> bool:
    return Relation(operator, left, right).holds(KNOWN.get)


@pytest.mark.parametrize(
    ("name", "operator", "value", "holds"),
    [
        ("n", "<", 4, True),
        ("n", ">=", 3.0, True),
        ("n", ">", "2", False),
        ("text", "<", "u", True),
        ("nan", "<", 1, False),
        ("nan", ">=", 1, False),
        ("nan", "==", math.nan, True),
        ("n", "==", 3.0, True),
        ("n", "==", "3", False),
        ("yes", "==", True, True),
        ("yes", "==", 1, False),
        ("yes", "<", 2, False),
        ("n", "!=", 4, True),
        ("n", "in", (1, 3), True),
        ("n", "not in", (1, 3), False),
        ("list", "contains", 1, True),
        ("list", "contains", "1", False),
        ("text", "contains", "un", True),
        ("text", "contains", 1, False),
        ("map", "contains", "a", True),
        ("n", "contains", 3, False),
        ("absent", "==", None, True),
        ("absent", "!=", None, False),
        ("n", "==", None, False),
        ("n", "!=", None, True),
        ("absent", "!=", 3, False),
        ("absent", "not in", (1,), False),
    ],
)
def test_what_is_asked_of_a_name(name: str, operator: str, value: Any, holds: bool) -> None:
    assert _holds(Name(name), operator, value) is holds


def test_two_names_and_a_name_after_its_value() -> None:
    assert _holds(Name("x"), "<", Name("n")) and not _holds(Name("n"), "<", Name("absent"))
    assert _holds(1, "in", Name("list")) and _holds(3, "==", Name("n"))


def test_joined_and_negated_conditions() -> None:
    yes, no = Relation("==", Name("n"), 3), Relation("==", Name("x"), 3)
    assert Joined("or", (no, yes)).holds(KNOWN.get) and not Joined("and", (no, yes)).holds(KNOWN.get)
    assert Not(no).holds(KNOWN.get)
    both = Not(Joined("and", (yes, Relation("<", Name("y"), Name("z")))))
    assert list(both.names()) == ["n", "y", "z"]
    assert str(both) == "not ((n == 3) and (y < z))"


NAMES = st.text(min_size=1, max_size=8).map(Name)
VALUES = (
    st.integers(-(10**9), 10**9)
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
RELATIONS = st.builds(
    Relation, st.sampled_from(["<", "<=", ">", ">=", "==", "!=", "contains"]), NAMES, VALUES
) | st.builds(
    Relation,
    st.sampled_from(["in", "not in"]),
    NAMES,
    st.lists(VALUES, min_size=1, max_size=3).map(tuple),
)
CONDITIONS: Any = st.recursive(
    RELATIONS,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(
            Joined, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3).map(tuple)
        )
    ),
    max_leaves=6,
)


@given(CONDITIONS)
def test_a_condition_that_is_written_is_read_as_the_same(condition: Condition) -> None:
    assert str(parse(str(condition))) == str(condition)


@pytest.mark.parametrize(
    ("name", "written"),
    [("loss", "loss"), ("a.b", "a.b"), ("a b", '"a b"'), ("In", '"In"'), ('"', '""""')],
)
def test_names_are_quoted_where_they_must_be(name: str, written: str) -> None:
    assert str(Name(name)) == written
