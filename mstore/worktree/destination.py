"""An open folder that files are written into, without following a link.

Every folder on the way is opened relative to the one above it, so that one that is
swapped for a link meanwhile is met as an error and never written through.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from mstore.errors import BadPath
from mstore.fs.failures import write_failed
from mstore.fs.temp import FOLDER_FLAGS, TEMPORARY_PREFIX
from mstore.objects import ManifestFile, check_path, folded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class Destination:
    """An open folder that files are written into.

    Args:
        path: the folder; it must exist and be no symbolic link.

    Raises:
        BadPath: it is a link or no folder.
        StorageFailed: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._root = os.open(path, FOLDER_FLAGS)
        except OSError as error:
            raise write_failed(error, str(path)) from error

    def __enter__(self) -> Destination:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._root)

    @contextlib.contextmanager
    def folder(self, parts: Sequence[str], *, create: bool = False) -> Iterator[int]:
        """Open a folder below, step by step without following links, and yield its descriptor.

        Raises:
            FileNotFoundError: there is no such folder, and it is not to be made.
            BadPath: a step is a link or a file.
            StorageFailed: the system failed.
        """
        shown = str(self.path.joinpath(*parts))
        try:
            descriptor = os.dup(self._root)
        except OSError as error:
            raise write_failed(error, shown) from error
        try:
            for part in parts:
                try:
                    if create:
                        with contextlib.suppress(FileExistsError):
                            os.mkdir(part, dir_fd=descriptor)
                    below = os.open(part, FOLDER_FLAGS, dir_fd=descriptor)
                except FileNotFoundError:
                    raise
                except OSError as error:
                    raise write_failed(error, shown) from error
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    def is_case_insensitive(self) -> bool:
        """Return whether the file system takes `a` and `A` for one name."""
        probe = f"{TEMPORARY_PREFIX}{os.urandom(4).hex()}-aB"
        descriptor = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, dir_fd=self._root)
        os.close(descriptor)
        try:
            os.stat(probe.replace("aB", "Ab"), dir_fd=self._root, follow_symlinks=False)
            return True
        except FileNotFoundError:
            return False
        finally:
            os.unlink(probe, dir_fd=self._root)


def check_paths(files: Sequence[ManifestFile], destination: Destination | None = None) -> None:
    """Check that a manifest can be written to a disk, before anything is.

    Raises:
        BadPath: a path must not be written, is both file and folder, or collides
            with another on a disk that ignores case.
    """
    folders: set[str] = set()
    for file in files:
        check_path(file.path)
        parts = file.path.split("/")
        folders.update("/".join(parts[:i]) for i in range(1, len(parts)))
    for file in files:
        if file.path in folders:
            raise BadPath(f"path {file.path!r}", "is both a file and a folder in this version")
    if destination is None:
        return
    seen: dict[str, str] = {}
    for name in sorted({f.path for f in files} | folders):
        other = seen.setdefault(folded(name), name)
        if other != name and destination.is_case_insensitive():
            raise BadPath(
                f"path {name!r}",
                f"collides with {other!r} on this disk, which ignores case; nothing was written",
            )


__all__ = ["FOLDER_FLAGS", "TEMPORARY_PREFIX", "Destination", "check_paths"]
