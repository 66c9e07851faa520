"""Choose the kernel: the C one where it was compiled, else its numpy twin.

`NAME` says which one runs. numpy is not imported before the twin is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Kernel(Protocol):
    """The functions that both kernels have. What the bytes mean is in docs/format.md section 6."""

    def allocate(self, size: int, /) -> bytearray:
        """Return a bytearray of that size; its bytes are undefined."""
        ...

    def equal(self, a: Buffer, b: Buffer, /) -> bool:
        """Tell whether two buffers hold the same bytes."""
        ...

    def split(self, raw: Buffer, base: Buffer | None, width: int, how: bool, planes: Buffer, /) -> None:
        """Fill `planes` from elements (rotated if `how`) or their differences (ordered if `how`)."""
        ...

    def join(self, planes: tuple[Buffer, ...], base: Buffer | None, how: bool, out: Buffer, /) -> None:
        """Undo a split; the bytes of `out` after its last whole element stay as they are."""
        ...

    def encode_plane(self, plane: Buffer, /) -> bytes | None:
        """Code a plane; its one byte if all are equal; None if it is to stay raw."""
        ...

    def decode_plane(self, stored: Buffer, out: Buffer, /) -> bool:
        """Decode a plane into `out`; False if the bytes are no coded plane of that size."""
        ...

    def encode_grouped(
        self, raw: Buffer, base: Buffer, width: int, ordered: bool, shift: int, /
    ) -> bytes | None:
        """Code a grouped difference; None if it would be no smaller than the block."""
        ...

    def decode_grouped(self, stored: Buffer, base: Buffer, width: int, out: Buffer, /) -> bool:
        """Undo a grouped difference into `out`; False if the bytes are none."""
        ...

    def encode_sparse(self, raw: Buffer, base: Buffer, width: int, /) -> bytes | None:
        """Code gap and value of each element that differs; None if too many do."""
        ...

    def decode_sparse(self, stored: Buffer, base: Buffer, width: int, out: Buffer, /) -> bool:
        """Undo a sparse difference into `out`; False if the bytes are none."""
        ...

    def estimate(self, raw: Buffer, base: Buffer, width: int, is_float: bool, /) -> tuple[int, int]:
        """Estimate the bits of a sample, as it is and as a difference."""
        ...


native: Kernel | None
try:
    import mstore.codec._kernel as native
except ImportError:
    native = None

NAME = "C" if native is not None else "numpy"


def kernel() -> Kernel:
    """Return the kernel that runs."""
    if native is not None:
        return native
    import mstore.codec.twin as numpy_kernel

    return numpy_kernel


def kernel_is_native() -> bool:
    """Tell whether the C kernel runs."""
    return native is not None
