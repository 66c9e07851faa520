"""The kernel and the temporary files of this process."""

from __future__ import annotations


def kernel_name() -> str:
    """Name the kernel that encodes and decodes blocks here: `C`, or `numpy`."""
    from mstore.codec.kernel import NAME

    return NAME


def remove_temporary_files() -> None:
    """Remove the temporary files that this process has left, after an interruption."""
    from mstore.fs.temp import remove_own

    remove_own()
