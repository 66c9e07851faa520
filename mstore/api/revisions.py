"""Parse the text for a version or a folder, without any store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.history.query.revision_grammar import Revision, parse

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["parse", "parse_side"]


def parse_side(text: str) -> Revision | Path:
    """Read one side of a diff: a revision, or a folder where the text has the form of one.

    Raises:
        UsageError: it is neither.
    """
    from mstore.compare.sides import parse_side

    return parse_side(text)
