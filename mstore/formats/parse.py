"""Recognise a file's format, and read its layout.

The ending of its name and its first bytes decide. A file of no known format and a
malformed zip have no layout: they are kept as one blob.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mstore.errors import BadFile
from mstore.formats.endings import TORCH_ENDINGS, WEIGHT_ENDINGS
from mstore.formats.gguf import BrokenGguf, parse_gguf
from mstore.formats.safetensors import parse_safetensors
from mstore.formats.torchzip import ZIP_MAGIC, BrokenZip, parse_torch_zip

if TYPE_CHECKING:
    from mstore.formats.source import ByteSource
    from mstore.objects import Layout

_LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/v1"


@dataclass(frozen=True, slots=True)
class Parsed:
    """The result of parsing a file.

    Args:
        layout: its tensors and their places, or None: the file is kept whole.
        warnings: one sentence each, beginning with the file's name.
        devices: where a torch file's storages were when saved ('cpu', 'cuda:0'), sorted.
    """

    layout: Layout | None
    warnings: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()


def parse(source: ByteSource, *, strict: bool = False, allow_opaque: bool = False) -> Parsed:
    """Read a file's layout.

    Args:
        source: the file.
        strict: refuse unknown fields in safetensors headers.
        allow_opaque: keep a .safetensors that breaks the format's rules as
            bytes, with a warning, instead of refusing it.

    Raises:
        BadFile: a .safetensors breaks a rule, or weights are a Git LFS pointer.
    """
    name = source.name.lower()
    if not name.endswith(WEIGHT_ENDINGS):
        return Parsed(None)
    first = source.read(0, min(len(_LFS_POINTER), source.size_bytes))
    if first == _LFS_POINTER:
        raise BadFile(
            source.name,
            "is a Git LFS pointer, not the weights that it points to",
            hint="run `git lfs pull`",
        )
    if name.endswith(".safetensors"):
        try:
            return Parsed(parse_safetensors(source, strict=strict))
        except BadFile as error:
            if not allow_opaque:
                raise
            return Parsed(None, (f"{error.message}; kept as bytes",))
    if name.endswith(TORCH_ENDINGS) and first.startswith(ZIP_MAGIC):
        try:
            return Parsed(*parse_torch_zip(source))
        except BrokenZip as error:
            return Parsed(None, (f"{source.name}: {error}; kept whole",))
    if name.endswith(".gguf"):
        try:
            return Parsed(parse_gguf(source))
        except BrokenGguf as error:
            return Parsed(None, (f"{source.name}: {error}; kept whole",))
    return Parsed(None)
