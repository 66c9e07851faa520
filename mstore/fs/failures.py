"""One translation of what the system says into errors of ours."""

from __future__ import annotations

import errno

from mstore.errors import StorageFailed


def storage_failed(error: OSError, what: str) -> StorageFailed:
    """Translate an OSError, with a hint for what a user can mend; `what` says what was being done."""
    hints = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the quota is used up",
        errno.EROFS: "the file system is read-only",
        errno.EACCES: "no permission",
        errno.EPERM: "no permission",
    }
    return StorageFailed(
        f"{what}: {error.strerror or error}",
        errno=error.errno,
        hint=hints.get(error.errno or 0),
    )
