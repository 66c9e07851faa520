"""The files of a model directory, and the JSON in them that may be broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from mstore.errors import BadFile
from mstore.formats.jsontext import read_json_object

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_JSON_BYTES: Final = 64 << 20


class FolderSource(Protocol):
    """The files of a model directory."""

    def paths(self) -> Sequence[str]:
        """List the paths relative to the folder, `/` between parts."""

    def size_bytes(self, path: str, /) -> int:
        """Tell the bytes in a file, so that a huge one need not be read."""

    def read(self, path: str, /) -> bytes:
        """Read all bytes of a file. Raises MStoreError."""


def read_object(folder: FolderSource, path: str) -> dict[str, Any]:
    """Read a file that must hold a JSON object. Raises BadFile."""
    if folder.size_bytes(path) > MAX_JSON_BYTES:
        raise BadFile(path, f"is larger than {MAX_JSON_BYTES} bytes")
    return read_json_object(folder.read(path), path)


def object_or_warning(folder: FolderSource, path: str, warnings: list[str]) -> dict[str, Any] | None:
    """Read a file that should hold a JSON object; add a warning and return None if it does not."""
    try:
        return read_object(folder, path)
    except BadFile as error:
        warnings.append(f"{error.message}; kept as bytes")
        return None
