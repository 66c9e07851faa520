"""What decoding refuses, and what it says."""

from __future__ import annotations

from typing import Any

import pytest

from mstore.errors import BadEncoding
from mstore.objects import CommitId
from mstore.objects.keys import Keys, raw_id, size_of, subject_id


def _rule(call: Any) -> str:
    with pytest.raises(BadEncoding) as caught:
        call()
    assert caught.value.where == "note abc"
    return caught.value.rule


def test_known_keys_are_taken_and_the_rest_is_kept() -> None:
    keys = Keys({"name": "a", "size": 3, "more": [1]}, "note abc")
    assert (keys.take("name", str), keys.take("size", int)) == ("a", 3)
    assert keys.take("no", str, None) is None
    assert keys.rest() == {"more": [1]}


@pytest.mark.parametrize(
    ("kind", "value", "name"),
    [
        (str, b"x", "text"),
        (bytes, "x", "bytes"),
        (int, True, "an integer"),
        (list, {}, "an array"),
        (dict, [], "a map"),
    ],
)
def test_a_value_of_another_type(kind: type, value: Any, name: str) -> None:
    keys = Keys({"k": value}, "note abc")
    assert _rule(lambda: keys.take("k", kind)) == f"the value of 'k' must be {name}"


def test_missing_critical_and_no_map() -> None:
    assert _rule(lambda: Keys({}, "note abc").take("k", str)) == "lacks the key 'k'"
    critical = "has the critical key 'New', unknown to this version"
    assert _rule(lambda: Keys({"New": 1, "old": 2}, "note abc").rest()) == critical
    assert _rule(lambda: Keys([1], "note abc")) == "must be a map"


@pytest.mark.parametrize("value", [-1, 2**63, True, 1.0, "1", None])
def test_sizes(value: Any) -> None:
    expected = f"expected a size from 0 to 2^63 - 1, found {value!r}"
    assert _rule(lambda: size_of(value, "note abc")) == expected
    assert size_of(2**63 - 1, "note abc") == 2**63 - 1


@pytest.mark.parametrize("value", [b"short", "x" * 32, None, 5, bytes(33)])
def test_ids(value: Any) -> None:
    rule = _rule(lambda: raw_id(value, "note abc"))
    assert rule.startswith("expected a 32-byte id, found ")
    assert len(rule) < 80
    assert raw_id(bytes(32), "note abc") == bytes(32)


def test_subjects() -> None:
    keys = Keys({"subject": bytes(32), "subject_kind": 4}, "note abc")
    assert subject_id(keys, "subject", "subject_kind", "note abc") == CommitId(bytes(32))
    for number in (0, 7):
        keys = Keys({"subject": bytes(32), "subject_kind": number}, "note abc")
        rule = _rule(lambda keys=keys: subject_id(keys, "subject", "subject_kind", "note abc"))
        assert rule == f"refers to an object of the unknown kind {number}"
