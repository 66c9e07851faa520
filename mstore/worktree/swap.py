"""Renames staged files to their places, and undoes that if a step fails."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, Final

from mstore.errors import BadPath, InvalidInput, StorageFailed
from mstore.fs.durable import fsync_file, make_folder, write_all
from mstore.fs.failures import write_failed
from mstore.worktree.destination import TEMPORARY_PREFIX, Destination

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from mstore.worktree.staging import Staged


_NO_LINKS: Final = (
    errno.EPERM,
    errno.EACCES,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.EMLINK,
    errno.EXDEV,
    errno.ENOSYS,
)


def put_in_place(destination: Destination, staged: Staged) -> None:
    """Rename staged files to their names, replacing what is there, and sync the folders.

    Raises:
        BadPath: a folder on the way is a link or a file, or a name is a folder's.
        StorageFailed: the system failed.
    """
    folders: dict[tuple[str, ...], None] = {(): None}
    for number, path in enumerate(staged.paths):
        *parts, name = path.split("/")
        try:
            with destination.folder(parts, create=True) as folder:
                os.rename(str(number), name, src_dir_fd=staged.descriptor, dst_dir_fd=folder)
        except OSError as error:
            raise write_failed(error, str(destination.path / path)) from error
        folders.update(dict.fromkeys(tuple(parts[:depth]) for depth in range(1, len(parts) + 1)))
    for inner in folders:
        try:
            with destination.folder(inner) as folder:
                fsync_file(folder)
        except OSError as error:
            raise write_failed(error, str(destination.path.joinpath(*inner))) from error


def stash_existing(destination: Destination, staged: Staged, paths: Sequence[str]) -> frozenset[int]:
    """Move files that will be removed into the staging folder, and link those to be replaced there.

    `roll_back` restores them from there.

    Args:
        destination: the folder.
        staged: the files about to be put in place.
        paths: files that will be removed.

    Returns:
        Numbers of the staged files of which there is no older one.

    Raises:
        BadPath: a folder on the way is a link.
        StorageFailed: the system failed.
    """
    aside = staged.descriptor
    for number, path in enumerate(paths):
        *parts, name = path.split("/")
        try:
            with destination.folder(parts) as folder:
                os.rename(name, f"gone-{number}", src_dir_fd=folder, dst_dir_fd=aside)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise write_failed(error, str(destination.path / path)) from error
    # Empty folders stay for the way back; where a file is to be, one is moved aside as it is:
    # a folder that is removed cannot be restored on a full disk.
    for number, path in enumerate(staged.paths):
        _stash_folder(destination, staged, path, f"folder-{number}")
    new = []
    for number, path in enumerate(staged.paths):
        *parts, name = path.split("/")
        was = f"was-{number}"
        try:
            with destination.folder(parts) as folder:
                os.link(name, was, src_dir_fd=folder, dst_dir_fd=aside, follow_symlinks=False)
        except FileNotFoundError:
            new.append(number)
        except BadPath:
            continue  # A file where the version has a folder: it was moved aside.
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.EISDIR, *_NO_LINKS):
                continue  # Where there are no hard links, a replaced file has no way back.
            raise write_failed(error, str(destination.path / path)) from error
    return frozenset(new)


def _stash_folder(destination: Destination, staged: Staged, path: str, name: str) -> None:
    """Move a folder without files that lies at a path into the staging folder."""
    *parts, own = path.split("/")
    with (
        contextlib.suppress(FileNotFoundError, NotADirectoryError, BadPath),
        destination.folder(parts) as folder,
    ):
        is_folder = stat.S_ISDIR(os.stat(own, dir_fd=folder, follow_symlinks=False).st_mode)
        if is_folder and not any(files for _, _, files, _ in os.fwalk(own, dir_fd=folder)):
            os.rename(own, name, src_dir_fd=folder, dst_dir_fd=staged.descriptor)


def clear_obstruction(destination: Destination, staged: Staged, path: str) -> None:
    """Remove a folder that a failed checkout put in place of a file. Raises StorageFailed."""
    try:
        _stash_folder(destination, staged, path, f"folder-{os.urandom(8).hex()}")
    except OSError as error:
        raise write_failed(error, str(destination.path / path)) from error


def absent_folders(destination: Destination, paths: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """List the missing folders above some paths, the deepest first."""
    absent: set[tuple[str, ...]] = set()
    for path in paths:
        parts = tuple(path.split("/")[:-1])
        for depth in range(1, len(parts) + 1):
            try:
                with destination.folder(parts[:depth]):
                    pass
            except (FileNotFoundError, BadPath, StorageFailed):
                absent.add(parts[:depth])
    return tuple(sorted(absent, key=lambda parts: (-len(parts), parts)))


def remove_folders(destination: Destination, folders: Sequence[tuple[str, ...]]) -> None:
    """Remove folders that exist and are empty."""
    for *above, name in folders:
        with (
            contextlib.suppress(OSError, InvalidInput, StorageFailed),
            destination.folder(above) as folder,
        ):
            os.rmdir(name, dir_fd=folder)


def roll_back(
    destination: Destination, staged: Staged, paths: Sequence[str], new: frozenset[int]
) -> None:
    """Undo `put_in_place` and `stash_existing`, however far they came; folders that they made stay.

    Args:
        destination, staged, paths: as given to `stash_existing`.
        new: its result.
    """
    failures = (OSError, InvalidInput, StorageFailed)
    aside = staged.descriptor
    left = set(os.listdir(aside))
    for number, path in enumerate(staged.paths):
        *parts, name = path.split("/")
        with contextlib.suppress(*failures), destination.folder(parts) as folder:
            if f"was-{number}" in left:
                os.rename(f"was-{number}", name, src_dir_fd=aside, dst_dir_fd=folder)
            elif number in new and str(number) not in left:
                os.unlink(name, dir_fd=folder)
            if f"folder-{number}" in left:
                os.rename(f"folder-{number}", name, src_dir_fd=aside, dst_dir_fd=folder)
    for number, path in enumerate(paths):
        *parts, name = path.split("/")
        if f"gone-{number}" not in left:
            continue
        with contextlib.suppress(*failures):
            clear_obstruction(destination, staged, path)
        with contextlib.suppress(*failures), destination.folder(parts, create=True) as folder:
            os.rename(f"gone-{number}", name, src_dir_fd=aside, dst_dir_fd=folder)


def find_obstructions(
    destination: Destination, paths: Sequence[str], known: Collection[str], ignored: Sequence[str]
) -> tuple[str, ...]:
    """Find ignored files where files must be written: no scan lists them.

    Args:
        destination: the folder.
        paths: the files to be written.
        known: paths in it that were looked at.
        ignored: ignored paths in it, folders with a `/` at the end.

    Raises:
        BadPath: a folder on the way is a link.
    """
    found: dict[str, None] = {}
    for path in paths:
        if path in known:
            continue
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            part = "/".join(parts[:depth])
            try:
                with destination.folder(parts[: depth - 1]) as folder:
                    status = os.stat(parts[depth - 1], dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                break
            except OSError as error:
                raise write_failed(error, str(destination.path / part)) from error
            if not stat.S_ISDIR(status.st_mode):
                if part not in known:
                    found[part] = None
                break
            if depth == len(parts):
                inside = [p for p in ignored if p.startswith(part + "/")]
                found.update(dict.fromkeys(p.rstrip("/") for p in inside))
                if part + "/" in ignored:
                    found[part] = None
    return tuple(found)


def remove(destination: Destination, path: str) -> None:
    """Remove a file, and the folders above it that it leaves empty.

    Raises:
        BadPath: a folder on the way is a link.
        StorageFailed: the system failed.
    """
    *parts, name = path.split("/")
    try:
        with destination.folder(parts) as folder:
            os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise write_failed(error, str(destination.path / path)) from error
    remove_empty_folders(destination, path)


def remove_empty_folders(destination: Destination, path: str) -> None:
    """Remove the folders above a path that are empty."""
    parts = list(path.split("/")[:-1])
    while parts:
        try:
            with destination.folder(parts[:-1]) as above:
                os.rmdir(parts[-1], dir_fd=above)
        except (OSError, InvalidInput, StorageFailed):
            return
        parts.pop()


def move_out(destination: Destination, path: str, target: Path) -> None:
    """Move a file out of the destination, to another disk if need be.

    Raises:
        BadPath, StorageFailed.
    """
    *parts, name = path.split("/")
    try:
        make_folder(target.parent)
        with destination.folder(parts) as folder:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                raise BadPath(str(destination.path / path), "is a symbolic link")
            try:
                os.rename(name, target, src_dir_fd=folder)
                return
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
            source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                with open(target, "xb") as copy:
                    while part := os.read(source, 1 << 20):
                        write_all(copy.fileno(), part)
                    fsync_file(copy.fileno())
            finally:
                os.close(source)
            os.unlink(name, dir_fd=folder)
    except OSError as error:
        raise write_failed(error, str(destination.path / path)) from error


def move_in(source: Path, destination: Destination, path: str) -> None:
    """Restore a file that `move_out` moved, replacing what is there.

    Raises:
        BadPath, StorageFailed.
    """
    *parts, name = path.split("/")
    try:
        with destination.folder(parts, create=True) as folder:
            try:
                os.rename(source, name, dst_dir_fd=folder)
                return
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
            temporary = f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}"
            copy = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, dir_fd=folder
            )
            try:
                with open(source, "rb") as original:
                    while part := original.read(1 << 20):
                        write_all(copy, part)
                fsync_file(copy)
            finally:
                os.close(copy)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            os.unlink(source)
    except OSError as error:
        raise write_failed(error, str(destination.path / path)) from error
