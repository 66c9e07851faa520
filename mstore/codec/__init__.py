"""Pure bytes ↔ bytes: codecs and block modes. Source: docs/format.md section 6."""

from mstore.codec.blocks import (
    BLOCK_HEADER_SIZE,
    BLOCK_LOG2,
    WIDTHS,
    Block,
    BlockHeader,
    Codec,
    Mode,
    check_mode,
    decode_block,
    encode_block,
)

__all__ = [
    "BLOCK_HEADER_SIZE",
    "BLOCK_LOG2",
    "WIDTHS",
    "Block",
    "BlockHeader",
    "Codec",
    "Mode",
    "check_mode",
    "decode_block",
    "encode_block",
]
