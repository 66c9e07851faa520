"""Read metadata for a commit from a file that the user wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mstore.errors import InvalidInput
from mstore.formats import read_json_object

if TYPE_CHECKING:
    import os

_MOST_BYTES: Final = 64 << 20


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: the file; of more than 64 MiB, which no commit takes, the rest is not read.

    Raises:
        InvalidInput: it cannot be read, or breaks a rule; with line and column.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES)
    except OSError as error:
        raise InvalidInput(str(path), f"cannot be read: {error.strerror}") from error
    return read_json_object(content, str(path))
