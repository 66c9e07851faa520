"""The form of a name with signs in conditions and revisions: in double quotes.

A quote inside is written twice. What a version has under a name is `LogEntry.column` for
both languages, so that `step:4` and `--where 'step == 4'` see the same value; `best:METRIC`
takes the metrics alone, which `column` asks first.
"""

from __future__ import annotations

from typing import Final

QUOTED: Final = r'"(?:[^"]|"")*"'
"""A name in double quotes, as a regular expression."""


def quoted(text: str, quote: str = '"') -> str:
    """Put a text in quotes, each quote inside written twice."""
    return quote + text.replace(quote, quote * 2) + quote


def unquoted(text: str) -> str:
    """Return the text between the quotes that a text begins and ends with."""
    return text[1:-1].replace(text[0] * 2, text[0])


__all__ = ["QUOTED", "quoted", "unquoted"]
