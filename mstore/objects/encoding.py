"""Deterministic CBOR: one value, one encoding (RFC 8949 section 4.2).

Hides cbor2. `decode` accepts exactly the bytes that `encode` would produce for
the value that they hold, so an object cannot have two ids.
"""

from __future__ import annotations

import math
from typing import Any, Final

import cbor2

from mstore.errors import BadEncoding

MAX_DEPTH: Final = 64
MAX_SIZE_BYTES: Final = 256 << 20


def _check(value: Any, depth: int) -> None:
    """Refuse values that our objects cannot hold (CBOR tags, non-text keys, depth)."""
    if depth > MAX_DEPTH:
        raise BadEncoding("object", f"is nested deeper than {MAX_DEPTH}")
    kind = type(value)
    if kind is list or kind is tuple:
        for item in value:
            _check(item, depth + 1)
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise BadEncoding("object", f"has a map key that is not text: {key!r}")
            _check(item, depth + 1)
    elif kind is int:
        if not -(2**64) <= value < 2**64:
            raise BadEncoding("object", f"holds the integer {str(value)[:40]}, too large for 64 bits")
    elif kind not in (bytes, str, float, bool, type(None)):
        raise BadEncoding("object", f"holds a {kind.__name__}, which cannot be encoded")


def encode(value: Any) -> bytes:
    """Encode maps, arrays, text, bytes, integers, floats, booleans and null.

    Raises:
        BadEncoding: the value holds something else, or is nested too deep.
    """
    _check(value, 0)
    try:
        return cbor2.dumps(value, canonical=True)
    except (cbor2.CBORError, UnicodeError, ValueError) as error:
        raise BadEncoding("object", f"cannot be encoded: {error}") from error


def decode(encoded: bytes, what: str) -> Any:
    """Decode canonical bytes.

    Args:
        encoded: the bytes.
        what: how to call them in an error.

    Raises:
        BadEncoding: they are not CBOR, not canonical, too deep or too large.
    """
    if len(encoded) > MAX_SIZE_BYTES:
        raise BadEncoding(what, f"is larger than {MAX_SIZE_BYTES} bytes")
    try:
        value = cbor2.loads(
            encoded, allow_indefinite=False, allow_duplicate_keys=False, max_depth=MAX_DEPTH + 1
        )
    except (cbor2.CBORError, UnicodeError, ValueError, TypeError, OverflowError) as error:
        raise BadEncoding(what, f"is not CBOR: {error}") from error
    if encode(value) != encoded:
        raise BadEncoding(what, "is not in canonical form")
    return value


def metric(value: float) -> float:
    """Convert a metric to the float64 that is stored; all NaNs become one."""
    number = float(value)
    return math.nan if math.isnan(number) else number
