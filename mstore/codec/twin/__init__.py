"""The kernel's functions in numpy: byte for byte what `_kernel` gives, some hundred times slower.

Takes over where no C compiler was at hand. Hides nothing of its own: names, arguments and results
are those of the C module, and docs/format.md section 6 says what the bytes mean. Buffers are told
apart from damage: those that do not belong together are a ValueError, stored bytes that mean
nothing are False.
"""

from mstore.codec.twin.grouped import (
    allocate,
    decode_grouped,
    decode_plane,
    decode_sparse,
    encode_grouped,
    encode_plane,
    encode_sparse,
    equal,
    estimate,
    join,
    split,
)

__all__ = [
    "allocate",
    "decode_grouped",
    "decode_plane",
    "decode_sparse",
    "encode_grouped",
    "encode_plane",
    "encode_sparse",
    "equal",
    "estimate",
    "join",
    "split",
]
