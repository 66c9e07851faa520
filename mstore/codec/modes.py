"""The codecs of frames and the modes of blocks, by their numbers in docs/format.md section 6.1."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from mstore.errors import Corrupt, Unsupported


class Codec(IntEnum):
    """The mode of a frame: the form of its blocks."""

    RAW = 0
    PLANES = 1
    DELTA = 2


class Mode(IntEnum):
    """The mode of one stored block."""

    RAW = 0
    PLANES = 1
    ROTATED = 2
    SAME = 16
    DIFFERENCE = 17
    GROUPED = 18
    SPARSE = 19
    CAST = 20


MODES_OF: Final = {
    Codec.RAW: frozenset({Mode.RAW}),
    Codec.PLANES: frozenset({Mode.RAW, Mode.PLANES, Mode.ROTATED}),
    Codec.DELTA: frozenset(Mode),
}
OF_EQUAL_WIDTH: Final = frozenset({Mode.SAME, Mode.DIFFERENCE, Mode.GROUPED, Mode.SPARSE})
"""Modes whose base has elements as wide as the block's; a cast stores one of them."""
WITH_BASE: Final = OF_EQUAL_WIDTH | {Mode.CAST}


def check_mode(codec: int, mode: int, where: str) -> None:
    """Refuse a codec or mode that this version does not know.

    Raises:
        Unsupported: the number is unknown.
        Corrupt: the mode does not belong to the codec.
    """
    if codec not in Codec.__members__.values():
        raise Unsupported(f"{where}: unknown codec {codec}", hint="use a newer mstore")
    if mode not in Mode.__members__.values():
        raise Unsupported(f"{where}: unknown block mode {mode}", hint="use a newer mstore")
    if Mode(mode) not in MODES_OF[Codec(codec)]:
        raise Corrupt(where, f"block mode {mode} does not belong to codec {codec}")
