"""The decoding that all structured objects share: known keys, sizes, ids.

It refuses any value that does not follow docs/format.md sections 4 and 5, with BadEncoding.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar, cast

from mstore.errors import BadEncoding
from mstore.objects.ids import ID_SIZE_BYTES, ID_TYPES, Kind, ObjectId

_V = TypeVar("_V")
_MISSING: Final = object()
_TYPE_NAMES: Final = {str: "text", bytes: "bytes", int: "an integer", list: "an array", dict: "a map"}
MAX_INTEGER: Final = 2**63 - 1


class Keys:
    """Takes the known keys out of a decoded map and checks what remains.

    Args:
        value: the map.
        what: how to call the object in an error.
    """

    def __init__(self, value: Any, what: str) -> None:
        if type(value) is not dict:
            raise BadEncoding(what, "must be a map")
        self._left: dict[str, Any] = dict(value)
        self._what = what

    def take(self, key: str, kind: type[_V], default: Any = _MISSING) -> _V:
        """Take the value of a key, which must be of one type, or equal `default` if absent."""
        value = self._left.pop(key, default)
        if value is _MISSING:
            raise BadEncoding(self._what, f"lacks the key {key!r}")
        if value is not default and type(value) is not kind:
            raise BadEncoding(self._what, f"the value of {key!r} must be {_TYPE_NAMES[kind]}")
        return cast("_V", value)

    def rest(self) -> dict[str, Any]:
        """Return the unknown keys, none of which may be critical."""
        for key in self._left:
            if key[:1].isupper():
                raise BadEncoding(self._what, f"has the critical key {key!r}, unknown to this version")
        return self._left


def size_of(value: Any, what: str) -> int:
    """Check that a value is a size."""
    if type(value) is not int or not 0 <= value <= MAX_INTEGER:
        raise BadEncoding(what, f"expected a size from 0 to 2^63 - 1, found {repr(value)[:40]}")
    return value


def raw_id(value: Any, what: str) -> bytes:
    """Check that a value is the bytes of an id."""
    if type(value) is not bytes or len(value) != ID_SIZE_BYTES:
        raise BadEncoding(what, f"expected a {ID_SIZE_BYTES}-byte id, found {repr(value)[:40]}")
    return value


def subject_id(keys: Keys, id_key: str, kind_key: str, what: str) -> ObjectId:
    """Take the id of the object that another one is about, from the keys of its id and kind."""
    number = keys.take(kind_key, int)
    if number not in ID_TYPES:
        raise BadEncoding(what, f"refers to an object of the unknown kind {number}")
    return ID_TYPES[Kind(number)](raw_id(keys.take(id_key, bytes), what))
