"""Plain values, those that JSON has, with NaN: when two are alike, and nested ones as one level."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def json_equal(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal: NaN is itself, 1 is 1.0, and true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return one == other or (_is_nan(one) and _is_nan(other))
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(json_equal, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(json_equal(v, other[k]) for k, v in one.items())
    return bool(one == other)


def _is_nan(value: Any) -> bool:
    """Return whether a value is NaN."""
    # An integer of a thousand digits is a number of JSON, and math.isnan chokes on it.
    return isinstance(value, float) and math.isnan(value)


def flattened(value: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten a nested object to values by path, dots between its parts; an empty object is a value."""
    return dict(_leaves(value, ""))


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        path = f"{key}.{name}" if key else str(name)
        if type(inner) is dict and inner:
            yield from _leaves(inner, path)
        else:
            yield path, inner


__all__ = ["flattened", "json_equal"]
