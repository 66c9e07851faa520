"""Which kernel runs: the C one where it was compiled, else its numpy twin.

`NAME` says which. numpy is not imported before the twin is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Kernel(Protocol):
    """The functions that `_kernel` and `twin.py` both have; the twin's docstrings describe them."""

    def allocate(self, size: int, /) -> bytearray:
        """A bytearray of that size that nobody has filled."""
        ...

    def equal(self, a: Buffer, b: Buffer, /) -> bool:
        """Whether two buffers hold the same bytes."""
        ...

    def split(self, raw: Buffer, base: Buffer | None, width: int, how: bool, planes: Buffer, /) -> None:
        """Byte planes of elements, or of their differences to a base."""
        ...

    def join(self, planes: tuple[Buffer, ...], base: Buffer | None, how: bool, out: Buffer, /) -> None:
        """The way back from planes."""
        ...

    def encode_plane(self, plane: Buffer, /) -> bytes | None:
        """A coded plane; its one byte if all are equal; None if it is to stay raw."""
        ...

    def decode_plane(self, stored: Buffer, out: Buffer, /) -> bool:
        """Whether the bytes are a coded plane of the size of out, which then holds it."""
        ...

    def encode_grouped(
        self, raw: Buffer, base: Buffer, width: int, ordered: bool, shift: int, /
    ) -> bytes | None:
        """A grouped difference, or None if it would be no smaller."""
        ...

    def decode_grouped(self, stored: Buffer, base: Buffer, width: int, out: Buffer, /) -> bool:
        """Whether the bytes are a grouped difference, which out then holds undone."""
        ...

    def encode_sparse(self, raw: Buffer, base: Buffer, width: int, /) -> bytes | None:
        """Gap and value of each element that differs, or None if they are too many."""
        ...

    def decode_sparse(self, stored: Buffer, base: Buffer, width: int, out: Buffer, /) -> bool:
        """Whether the bytes are a sparse difference, which out then holds undone."""
        ...

    def estimate(self, raw: Buffer, base: Buffer, width: int, is_float: bool, /) -> tuple[int, int]:
        """Bits of a sample: as it is, as a difference."""
        ...


native: Kernel | None
try:
    import mstore.codec._kernel as native
except ImportError:
    native = None

NAME = "C" if native is not None else "numpy"


def kernel() -> Kernel:
    """The kernel that runs."""
    if native is not None:
        return native
    import mstore.codec.twin as numpy_kernel

    return numpy_kernel


def kernel_is_native() -> bool:
    """Whether the C kernel runs."""
    return native is not None
