"""Read JSON from untrusted files.

Hides `json` and what it accepts: nesting that exhausts the stack, integers
of a million digits, keys that occur twice, strings that are not Unicode text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from mstore.errors import BadFile

MAX_NESTING: Final = 128
_PEELS: Final = 12
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"{}[]"))
_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{\]}]', re.DOTALL)


class _Twice(Exception):
    """A key occurs twice in one object."""

    def __init__(self, key: str, value: Any) -> None:
        super().__init__(key)
        self.key, self.value = key, value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen = set()
        for key, value in pairs:
            if key in seen:
                raise _Twice(key, value)
            seen.add(key)
    return made


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _nested_too_deep(raw: bytes) -> bool:
    """Tell whether brackets nest deeper than MAX_NESTING, without recursion.

    Nearly every file is settled by the first loop, at the speed of `bytes`: it
    takes away innermost pairs, one level a turn. Only brackets inside strings
    can leave something, and then the text is walked.
    """
    brackets = raw.translate(None, _NOT_BRACKETS)
    for _ in range(_PEELS):
        if not brackets:
            return False
        shorter = brackets.replace(b"{}", b"").replace(b"[]", b"")
        if len(shorter) == len(brackets):
            break
        brackets = shorter
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(raw):
        token = match.group()[:1]
        if token in b"{[":
            depth += 1
            if depth > MAX_NESTING:
                return True
        elif token in b"}]":
            depth -= 1
    return False


def _place(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    return f"line {line} column {position - text.rfind(chr(10), 0, position)}"


def read_json(raw: bytes, where: str, *, strict: bool) -> Any:
    """Parse a JSON text.

    Args:
        raw: the text, UTF-8 without a byte order mark.
        where: how to call it in an error.
        strict: refuse keys that occur twice and bare NaN and Infinity, which
            Python writes and JSON has not.

    Raises:
        BadFile: it is not that; the rule has line and column where there are any.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise BadFile(where, f"is not UTF-8 (byte {error.start})") from None
    if _nested_too_deep(raw):
        raise BadFile(where, f"its JSON is nested deeper than {MAX_NESTING}")
    try:
        if strict:
            return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        return json.loads(text)
    except _Twice as error:
        tensor = error.key if type(error.value) is dict and error.key != "__metadata__" else None
        if tensor is not None:
            raise BadFile(where, "its key occurs twice", tensor=tensor) from None
        raise BadFile(where, f"the key {error.key!r} occurs twice") from None
    except json.JSONDecodeError as error:
        place = _place(text, error.pos)
        raise BadFile(where, f"{place}: is not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise BadFile(where, f"is not JSON: {error}") from None


def read_json_object(raw: bytes, where: str) -> dict[str, Any]:
    """Parse a JSON text that must hold an object; bare NaN and Infinity are read.

    Raises:
        BadFile: it is not that; the rule has line and column where there are any.
    """
    if not raw.strip():
        raise BadFile(where, "is empty, must be a JSON object")
    value = read_json(raw, where, strict=False)
    if type(value) is not dict:
        raise BadFile(where, "is not a JSON object")
    return value


def is_text(*strings: str) -> bool:
    """Tell whether all are Unicode text: without lone surrogates, which JSON can spell."""
    try:
        for string in strings:
            string.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_text(string: str) -> str:
    """Make a string encodable: lone surrogates become question marks."""
    return string.encode(errors="replace").decode()


def text_of(value: Any) -> str | None:
    """Return a string that is not empty, as text; None for any other value."""
    return as_text(value) if type(value) is str and value else None


def texts_of(value: Any) -> tuple[str, ...]:
    """Return the strings of a list; none for any other value."""
    return tuple(as_text(v) for v in value if type(v) is str) if type(value) is list else ()


def count_of(value: Any, *, least: int = 1) -> int | None:
    """Return an integer from `least` to 2^53, which a float holds exactly; else None."""
    return value if type(value) is int and least <= value < 2**53 else None


def number_of(value: Any) -> float | None:
    """Return a finite number as a float; None for any other value."""
    if type(value) is int:
        return float(value) if abs(value) < 2**53 else None
    return value if type(value) is float and math.isfinite(value) else None


def mapping_of(value: Any) -> Mapping[str, Any]:
    """Return a JSON object; an empty one for any other value."""
    return value if type(value) is dict else {}


def to_json(value: Any) -> Any:
    """Convert mappings and tuples to dicts and lists, and leave out None."""
    if isinstance(value, Mapping):
        return {k: to_json(v) for k, v in value.items() if v is not None}
    if isinstance(value, tuple):
        return [to_json(v) for v in value]
    return value
