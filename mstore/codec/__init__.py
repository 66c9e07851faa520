"""Encode and decode blocks: pure bytes ↔ bytes. Source: docs/format.md section 6."""

from mstore.codec.blocks import (
    BLOCK_LOG2,
    WIDTHS,
    Block,
    base_size_of,
    decode_block,
    encode_block,
)
from mstore.codec.header import BLOCK_HEADER_SIZE, BlockHeader
from mstore.codec.modes import Codec, Mode, check_mode
from mstore.codec.sketch import SKETCH_SIZE_BYTES, Sketcher, bands_of, most_alike

__all__ = [
    "BLOCK_HEADER_SIZE",
    "BLOCK_LOG2",
    "SKETCH_SIZE_BYTES",
    "WIDTHS",
    "Block",
    "BlockHeader",
    "Codec",
    "Mode",
    "Sketcher",
    "bands_of",
    "base_size_of",
    "check_mode",
    "decode_block",
    "encode_block",
    "most_alike",
]
