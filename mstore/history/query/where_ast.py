"""Conditions on versions, as values that answer for one version."""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Any, Final

from mstore.frozen import frozen
from mstore.history.query.quoting import quoted
from mstore.objects.json_values import json_equal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Lookup = Callable[[str], Any]


LITERALS: Final = {
    "true": True,
    "false": False,
    "none": None,
    "null": None,
    "nan": float("nan"),
    "inf": float("inf"),
}
KEYWORDS: Final = frozenset({"and", "or", "not", "in", "contains", *LITERALS})
ORDERS: Final = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@frozen(slots=True)
class Name:
    """A name that a version may have a value for."""

    name: str

    def __str__(self) -> str:
        bare = re.fullmatch(r"[^\W\d][\w.]*", self.name) and self.name.casefold() not in KEYWORDS
        return self.name if bare else quoted(self.name)


@frozen(slots=True)
class Relation:
    """Two operands, of which one at least is a name, and their operator.

    Args:
        operator: '<', '<=', '>', '>=', '==', '!=', 'in', 'not in' or 'contains'.
        left: a name or a value.
        right: likewise; after 'in' and 'not in' perhaps a tuple of values.
    """

    operator: str
    left: Any
    right: Any

    def holds(self, lookup: Lookup) -> bool:
        """Return whether it holds of a version."""
        left, right = (lookup(v.name) if isinstance(v, Name) else v for v in (self.left, self.right))
        if self.left is None or self.right is None:
            return (left is right) == (self.operator == "==")
        if left is None or right is None:
            return False
        match self.operator:
            case "==":
                return json_equal(left, right)
            case "!=":
                return not json_equal(left, right)
            case "in":
                return _is_in(left, right)
            case "not in":
                return not _is_in(left, right)
            case "contains":
                return _is_in(right, left)
        return _ordered(left, right) and bool(ORDERS[self.operator](left, right))

    def names(self) -> Iterator[str]:
        """Give the names that it asks for."""
        return (v.name for v in (self.left, self.right) if isinstance(v, Name))

    def __str__(self) -> str:
        return f"{_spelled(self.left)} {self.operator} {_spelled(self.right)}"


@frozen(slots=True)
class Not:
    """The opposite of a condition."""

    inner: Condition

    def holds(self, lookup: Lookup) -> bool:
        """Return whether it holds of a version."""
        return not self.inner.holds(lookup)

    def names(self) -> Iterator[str]:
        """Give the names that it asks for."""
        return self.inner.names()

    def __str__(self) -> str:
        return f"not ({self.inner})"


@frozen(slots=True)
class Joined:
    """Conditions of which all ('and'), or one ('or'), must hold; two at least."""

    word: str
    parts: tuple[Condition, ...]

    def holds(self, lookup: Lookup) -> bool:
        """Return whether it holds of a version."""
        found = (part.holds(lookup) for part in self.parts)
        return all(found) if self.word == "and" else any(found)

    def names(self) -> Iterator[str]:
        """Give the names that it asks for."""
        return (name for part in self.parts for name in part.names())

    def __str__(self) -> str:
        return f" {self.word} ".join(f"({part})" for part in self.parts)


Condition = Relation | Not | Joined


def _ordered(one: Any, other: Any) -> bool:
    """Return whether one of two values can come before the other."""
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    numbers = isinstance(one, (int, float)) and isinstance(other, (int, float))
    return numbers or (isinstance(one, str) and isinstance(other, str))


def _is_in(part: Any, whole: Any) -> bool:
    if isinstance(whole, str):
        return isinstance(part, str) and part in whole
    if isinstance(whole, (list, tuple)):
        return any(json_equal(part, one) for one in whole)
    return isinstance(whole, dict) and isinstance(part, str) and part in whole


def _spelled(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value, "'")
    if isinstance(value, tuple):
        return f"({', '.join(map(_spelled, value))})"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return str(value)
