"""Text that comes from files and goes to people.

Names and messages may hold control characters that would steer a terminal;
`escaped` shows them instead. Pure; prints nothing.
"""

from __future__ import annotations

import math
import os
import time
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path


def _must_escape(character: str) -> bool:
    # Cc controls, Cf formats (bidi marks, zero widths), Cs surrogates, line separators.
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def escaped(text: str, *, newlines: bool = False) -> str:
    """Return a text with every control and format character written as `\\x1b`, `\\u202e` …

    Args:
        text: anything.
        newlines: leave line feeds and tabs as they are.
    """
    if text.isascii() and text.isprintable():
        return text
    shown = []
    for character in text:
        if newlines and character in "\n\t":
            shown.append(character)
        elif _must_escape(character):
            code = ord(character)
            shown.append(
                f"\\x{code:02x}"
                if code < 256
                else f"\\u{code:04x}"
                if code < 65536
                else f"\\U{code:08x}"
            )
        else:
            shown.append(character)
    return "".join(shown)


def size(bytes_count: float) -> str:
    """Format bytes for people: powers of ten, as disks are sold."""
    value = float(bytes_count)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 999.95 or (unit == "GB" and abs(value) < 999_950):
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.{_digits(value)}f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _digits(value: float) -> int:
    return 0 if abs(value) >= 99.95 else 1


def counted(count: int, noun: str) -> str:
    """Format a count with its noun, in the plural where needed: `1 version`, `3 versions`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def number(value: Any) -> str:
    """Format a metric for people."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return escaped(str(value))
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return str(int(value)) if not (isinstance(value, float) and math.isinf(value)) else str(value)
    return f"{value:.4g}"


def age(ns: int, *, now_ns: int | None = None) -> str:
    """Format how long ago a moment was, for people."""
    seconds = ((time.time_ns() if now_ns is None else now_ns) - ns) / 1e9
    if seconds < -60:
        return "in the future"
    for limit, unit, name in (
        (90, 1, "s"),
        (90 * 60, 60, "min"),
        (36 * 3600, 3600, "h"),
        (14 * 86400, 86400, "d"),
        (70 * 86400, 7 * 86400, "w"),
        (700 * 86400, 30.44 * 86400, "mo"),
    ):
        if seconds < limit:
            return f"{max(0, seconds) / unit:.0f} {name} ago"
    return f"{seconds / (365.25 * 86400):.0f} y ago"


def storable(value: Any) -> Any:
    """Convert metadata for an object: integers beyond 64 bits become text, tuples become lists."""
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**64) <= value < 2**64:
        return str(value)
    if isinstance(value, dict):
        return {str(k): storable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable(v) for v in value]
    return value


def jsonable(value: Any) -> Any:
    """Make a value one that strict JSON can hold: NaN, infinities and bytes become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(v) for v in value]
    return value


def display_path(path: Path) -> str:
    """Format a path as a user would type it from here."""
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):
        return str(path)
    return relative if not relative.startswith("../..") else str(path)


def near_names(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Find up to three names that a mistyped one was probably meant to be, best first."""
    import difflib

    return tuple(difflib.get_close_matches(name, list(known), n=3, cutoff=0.5))


def near_hint(near: Iterable[str]) -> str | None:
    """Format near names as the hint of an error, or None where there is none."""
    names = ", ".join(near)
    return f"near it: {names}" if names else None


def some_names(names: Sequence[str], *, most: int = 6) -> str:
    """List the first of some names, escaped, and count the others."""
    listed = ", ".join(escaped(name) for name in names[:most])
    return listed + (f" and {len(names) - most} more" if len(names) > most else "")


def loss_texts(metrics: Mapping[str, float]) -> list[str]:
    """Format the losses among some metrics, as `loss 1.84` and `eval loss 1.9`."""
    return [
        f"{name.replace('_', ' ')} {metrics[name]:.4g}"
        for name in ("loss", "eval_loss")
        if name in metrics
    ]
