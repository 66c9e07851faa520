"""The one place where an OSError becomes an error of ours.

- `storage_failed`: a store, a workspace or a cache could not be read or written; `translated`
  does the same around a block.
- `write_failed`: a path of a model directory could not be written: a link on the way is bad input.
- `unreadable`: a file that the user gave cannot be read.

Each message ends in the system's reason; a hint says how a user can help it.
"""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING, Final

from mstore.errors import BadPath, DurabilityUnknown, InvalidInput, StorageFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

_HINTS: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
}


class UnconfirmedChange(OSError):
    """A name was changed, but the disk did not confirm that the change is durable."""

    def explained(self, done: str) -> DurabilityUnknown:
        """Translate it to DurabilityUnknown; `done` describes the change."""
        what = f"{done}, but the disk did not confirm that this would last"
        return DurabilityUnknown(f"{what}: {self.strerror}", errno=self.errno)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def storage_failed(error: OSError, what: str) -> StorageFailed:
    """Translate an OSError, with a hint for causes that a user can change.

    Args:
        error: the system's error.
        what: what could not be done, with the file: "cannot read /x/y".
    """
    return StorageFailed(
        f"{what}: {_reason(error)}", errno=error.errno, hint=_HINTS.get(error.errno or 0)
    )


@contextlib.contextmanager
def translated(what: str, *, done: str | None = None) -> Iterator[None]:
    """Translate an OSError of the block; see `storage_failed`.

    Args:
        what: what could not be done, with the file.
        done: the change, where the disk only did not confirm it.

    Raises:
        DurabilityUnknown: a change was made and not confirmed, and `done` says which.
        StorageFailed: the system failed.
    """
    try:
        yield
    except OSError as error:
        if done is not None and isinstance(error, UnconfirmedChange):
            raise error.explained(done) from error
        raise storage_failed(error, what) from error


def write_failed(error: OSError, path: str) -> BadPath | StorageFailed:
    """Translate an OSError of writing a path; a symbolic link on the way is bad input."""
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return BadPath(path, "is a symbolic link or not a folder; nothing is written through it")
    return storage_failed(error, f"cannot write {path}")


def unreadable(error: OSError, where: str, rule: str = "cannot be read") -> InvalidInput:
    """Translate an OSError of reading a user's file.

    Args:
        error: the system's error.
        where: the file.
        rule: what does not hold of it.
    """
    if error.errno == errno.ELOOP:
        return InvalidInput(where, f"{rule}: is a symbolic link")
    return InvalidInput(where, f"{rule}: {_reason(error)}")
