"""The kernel's functions in numpy: byte for byte what `_kernel` gives, some hundred times slower.

It takes over where no C compiler was at hand. Names, arguments and results are those of the C
module, and docs/format.md section 6 says what the bytes mean; the modules are called like the C
files. Buffers whose sizes do not belong together raise ValueError; damaged bytes give False.
"""

from mstore.codec.twin.elements import allocate, equal, join, split
from mstore.codec.twin.grouped import decode_grouped, encode_grouped
from mstore.codec.twin.plane import decode_plane, encode_plane
from mstore.codec.twin.sample import estimate
from mstore.codec.twin.sparse import decode_sparse, encode_sparse

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
