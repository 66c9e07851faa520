"""Operations of a workspace: what is written is read, and what is none is refused."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstore.workspace import Operation, RefMove

UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, IndexError)

TEXT = st.text(max_size=8)
HEX = st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex)
HEADS = st.fixed_dictionaries({"branch": TEXT, "at": TEXT})
OPERATIONS = st.builds(
    Operation,
    TEXT,
    st.lists(st.builds(RefMove, TEXT, TEXT, HEX, HEX), max_size=3).map(tuple),
    st.none() | st.tuples(HEADS, HEADS),
    st.none() | TEXT,
    st.none() | TEXT.filter(lambda t: "/" not in t),
    st.lists(TEXT, max_size=3).map(tuple),
    st.integers(0, 2**40),
    st.booleans(),
    HEX,
)


@given(OPERATIONS)
def test_what_is_written_is_read(operation: Operation) -> None:
    assert Operation.from_dict(json.loads(json.dumps(asdict(operation)))) == operation


def test_a_record_of_an_earlier_release_lacks_what_is_optional() -> None:
    assert Operation.from_dict({"action": "commit", "number": 3}) == Operation("commit", number=3)


@pytest.mark.parametrize(
    "change",
    [
        {"action": 3},
        {"number": "3"},
        {"number": None},
        {"moves": [{"ref": "heads/main"}]},
        {"moves": [{"ref": 3, "kind": "commit", "old": None, "new": None}]},
        {"moves": ["noise"]},
        {"head": [{"branch": "main"}, {"branch": "main"}]},
        {"head": [{"branch": 3, "at": ""}, {"branch": "x", "at": ""}]},
        {"head": ["noise"]},
        {"folder": 3},
        {"backup": "../elsewhere"},
        {"touched": [3]},
        {"version": 7},
    ],
)
def test_what_is_no_operation_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UNREADABLE):
        Operation.from_dict({"action": "commit", "number": 1, **change})


@given(
    st.recursive(
        st.none() | st.integers() | TEXT,
        lambda v: (
            st.lists(v, max_size=3)
            | st.dictionaries(st.sampled_from(["action", "number", "moves", "head"]), v)
        ),
        max_leaves=6,
    )
)
def test_whatever_lies_there_is_read_or_refused(document: Any) -> None:
    try:
        found = Operation.from_dict(document)
    except UNREADABLE:
        return
    assert isinstance(found.action, str) and isinstance(found.number, int)
