"""Match PEFT's patterns by module, without ever running one that could hang.

Source: peft 0.21, `utils/other.py` (`get_pattern_key`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_LITERAL: Final = re.compile(r"[A-Za-z0-9_.]+")
_ESCAPED: Final = re.compile(r"\\.", re.DOTALL)
_REPEAT: Final = re.compile(r"(?<!\()[*+?{]")
_REPEATED_GROUP: Final = re.compile(r"\)[*+{]|\(\?[^:]")
_MAX_STEPS: Final = 30_000_000


def value_by_pattern(patterns: Mapping[str, float], key: str, default: float | None) -> float | None:
    """Find the value that PEFT takes for a module: that of the first pattern matching its key's end.

    Args:
        patterns: values by pattern, in the order in which PEFT tries them.
        key: the module's key.
        default: the value if no pattern matches.

    Returns:
        The value; None if a pattern would have to be tried first that could hang.
    """
    for pattern, value in patterns.items():
        if _LITERAL.fullmatch(pattern):
            if _ends_with(key, pattern):
                return value
            continue
        if not _is_harmless(pattern, key):
            return None
        try:
            if re.match(rf"(.*\.)?({pattern})$", key):
                return value
        except (re.error, RecursionError, OverflowError):
            return None
    return default


def _is_harmless(pattern: str, key: str) -> bool:
    """Tell whether matching takes bounded time: a commit must not hang on an expression from outside.

    Without repeated groups, look-arounds and back references, a backtracking
    matcher tries at most every length for each repeat and every branch for each
    group.
    """
    if len(pattern) > len(key) + 1024 or re.search(r"\\[0-9]", pattern):
        return False
    plain = _ESCAPED.sub("x", pattern)
    if _REPEATED_GROUP.search(plain):
        return False
    repeats, groups = len(_REPEAT.findall(plain)), plain.count("(") + 1
    if repeats > 8 or groups > 8:
        return False
    steps: int = (key.count(".") + 1) * (len(key) + 1) ** repeats * (plain.count("|") + 1) ** groups
    return steps <= _MAX_STEPS


def _ends_with(key: str, pattern: str) -> bool:
    """Tell whether a pattern of letters and dots matches whole parts at the key's end.

    Some adapters have a pattern for each module, and compiling an expression for each
    pair of them takes minutes.
    """
    begin = len(key) - len(pattern)
    if begin < 0 or (begin and key[begin - 1] != "."):
        return False
    return key.endswith(pattern) or all(
        p in (".", k) for p, k in zip(pattern, key[begin:], strict=True)
    )
