"""JSON of untrusted files: what is read, what is refused, and where."""

from __future__ import annotations

import math

import pytest

from mstore.errors import BadFile
from mstore.formats import read_json_object
from mstore.formats.jsontext import (
    MAX_NESTING,
    as_text,
    count_of,
    is_text,
    mapping_of,
    number_of,
    read_json,
    text_of,
    texts_of,
    to_json,
)


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b'{"a": 1, "a": 2}', "the key 'a' occurs twice"),
        (b'{"a": NaN}', "is not JSON: NaN is not JSON"),
        (b'{"a": 1,\n  "b" 2}', "line 2 column 7: is not JSON: Expecting ':' delimiter"),
        (b"\xff", "is not UTF-8 (byte 0)"),
        (b"[" * 200 + b"]" * 200, f"its JSON is nested deeper than {MAX_NESTING}"),
    ],
)
def test_strict(raw, rule):
    with pytest.raises(BadFile) as caught:
        read_json(raw, "x.json", strict=True)
    assert (caught.value.where, caught.value.rule) == ("x.json", rule)


def test_a_tensor_that_occurs_twice_is_named():
    with pytest.raises(BadFile) as caught:
        read_json(b'{"w": {}, "w": {}}', "x", strict=True)
    assert (caught.value.tensor, caught.value.rule) == ("w", "tensor 'w': its key occurs twice")


def test_what_python_writes_is_read_unless_strict():
    value = read_json(b'{"a": NaN, "b": -Infinity, "a": 1}', "x", strict=False)
    assert value == {"a": 1, "b": -math.inf}


def test_nesting_is_counted_outside_of_strings_only():
    assert read_json(b'{"a": "' + b"[" * 500 + b'"}', "x", strict=True) == {"a": "[" * 500}
    deepest = b"[" * MAX_NESTING + b"]" * MAX_NESTING
    assert read_json(deepest, "x", strict=True)
    # A string with an unmatched bracket keeps innermost pairs from cancelling; the text is walked.
    with pytest.raises(BadFile, match="nested"):
        read_json(b'{"[": ' + b"[" * MAX_NESTING + b"]" * MAX_NESTING + b"}", "x", strict=True)


@pytest.mark.parametrize(("raw", "rule"), [(b" \n", "is empty"), (b"[1]", "is not a JSON object")])
def test_objects(raw, rule):
    with pytest.raises(BadFile, match=rule):
        read_json_object(raw, "x")


def test_values_of_the_wrong_type_count_as_absent():
    assert [text_of(v) for v in ("a", "", None, 1, "\ud800")] == ["a", None, None, None, "?"]
    assert [texts_of(v) for v in (["a", 1], "a", None)] == [("a",), (), ()]
    assert [count_of(v) for v in (1, 0, True, 1.0, 2**53)] == [1, None, None, None, None]
    assert count_of(0, least=0) == 0
    assert [number_of(v) for v in (2, 1.5, math.nan, "2", 10**400)] == [2.0, 1.5, None, None, None]
    assert [mapping_of({"a": 1}), mapping_of([]), mapping_of(None)] == [{"a": 1}, {}, {}]
    assert is_text("ü", "漢")
    assert not is_text("a", "\udfff")
    assert as_text("a\udfff") == "a?"


def test_to_json_leaves_out_none():
    assert to_json({"a": None, "b": (1, {"c": None, "d": (2,)})}) == {"b": [1, {"d": [2]}]}
