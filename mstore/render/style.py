"""Styles of lines of text by name, for the code that shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Style = Callable[[str, str], str]
    """Given a text and one of a terminal's colours, or `bold` or `dim`, gives the text so styled."""


def plain(text: str, style: str) -> str:
    """Leave a text as it is."""
    return text
