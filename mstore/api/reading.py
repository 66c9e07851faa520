"""Read what a user typed, before any store is opened; a Repository looks it up.

Each function loads what it needs when it is called: a command must not pay for another's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from mstore.history.query.revision_grammar import Revision


def parse_revision(text: str) -> Revision:
    """Read a revision. Raises UsageError."""
    from mstore.history.query.revision_grammar import parse

    return parse(text)


def parse_side(text: str) -> Revision | Path:
    """Read one side of a diff: a revision or a folder. Raises UsageError."""
    from mstore.compare.sides import parse_side

    return parse_side(text)


def read_metadata(content: bytes, name: str) -> dict[str, Any]:
    """Read metadata from a JSON object in a file.

    Args:
        content: the file's bytes.
        name: how to call the file in an error.

    Raises:
        InvalidInput: it is no JSON object; with line and column.
    """
    from mstore.formats import read_json_object

    return read_json_object(content, name)


def kernel_name() -> str:
    """Give the name of the kernel that codes blocks on this machine."""
    from mstore.codec.kernel import NAME

    return NAME
