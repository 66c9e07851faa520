"""Replace the files of a folder as planned, or leave it as it was."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Final

from mstore.checkout.beside import byte_progress, write_beside
from mstore.errors import Conflict, MStoreError
from mstore.text import display_path
from mstore.worktree.destination import Destination, check_paths
from mstore.worktree.scan import OpenFile, scan
from mstore.worktree.staging import Staged, discard
from mstore.worktree.swap import (
    absent_folders,
    clear_obstruction,
    move_in,
    move_out,
    put_in_place,
    remove_empty_folders,
    remove_folders,
    roll_back,
    stash_existing,
)
from mstore.worktree.writer import HELD_FROM_BYTES, LocalCopy, write_staged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mstore.checkout.plan import FolderPlan
    from mstore.context import Context
    from mstore.modeldir.read import Tree
    from mstore.objects import BlobId, Manifest, ManifestFile
    from mstore.progress import Progress

_OLD_FILES_AT_ONCE: Final = 64


@contextlib.contextmanager
def files_replaced(
    context: Context, plan: FolderPlan, manifest: Manifest, progress: Progress | None = None
) -> Iterator[Path | None]:
    """Write a folder as planned; what fails, here or in the body, leaves it as it was.

    Args:
        context: the store, and the workspace if there is one.
        plan: what happens to the folder.
        manifest: all files that it is to hold.
        progress: called with bytes written.

    Yields:
        The folder of the copies that are kept for `undo`, or None.

    Raises:
        Conflict: the folder is no longer as it was when the plan was made.
        BadPath, Corrupt, NotFound, StorageFailed, DurabilityUnknown.
    """
    if plan.is_new:
        write_beside(context.store, manifest, plan.path, progress)
        try:
            yield None
        except BaseException:
            shutil.rmtree(plan.path, ignore_errors=True)
            raise
        return
    tree = _unchanged_since(context, plan)
    backup = _backup_folder(context, plan.path) if plan.back_up else None
    with Destination(plan.path) as destination:
        check_paths(manifest.files, destination)
        absent = absent_folders(destination, [f.path for f in plan.write])
        with _open_local_copies(tree, plan.write) as local_copies:
            staged = write_staged(
                context.store,
                plan.write,
                destination,
                local_copies=local_copies,
                progress=byte_progress(plan.write, progress),
            )
        try:
            with _swapped(destination, plan, staged, backup):
                yield backup
        except BaseException:
            remove_folders(destination, absent)
            discard(destination, staged)
            raise
        discard(destination, staged)
        for path in plan.remove:
            remove_empty_folders(destination, path)


@contextlib.contextmanager
def _swapped(
    destination: Destination, plan: FolderPlan, staged: Staged, backup: Path | None
) -> Iterator[None]:
    """Rename old files away and new ones in; where the body fails, all of it back."""
    moved: list[str] = []
    new: frozenset[int] = frozenset()
    try:
        if backup is not None:
            for path in plan.back_up:
                move_out(destination, path, backup / path)
                moved.append(path)
        # Old ones first: where a file was, the version may have a folder.
        new = stash_existing(destination, staged, plan.remove)
        put_in_place(destination, staged)
        yield
    except BaseException:
        roll_back(destination, staged, plan.remove, new)
        if backup is not None:
            for path in moved:
                with contextlib.suppress(MStoreError, OSError):
                    clear_obstruction(destination, staged, path)
                    move_in(backup / path, destination, path)
        raise


def _unchanged_since(context: Context, plan: FolderPlan) -> Tree:
    """Give the tree that the plan was made of. Raises Conflict where it is no longer that."""
    assert plan.tree is not None
    if scan(plan.path, exclude=context.own_folders) != plan.tree.found:
        raise Conflict(
            f"{display_path(plan.path)} was changed after the checkout was planned",
            hint="nothing was written; run the same command again",
        )
    return plan.tree


def _backup_folder(context: Context, folder: Path) -> Path:
    """Return the folder for copies of replaced files: beside the target where there is no workspace."""
    if context.workspace is None:
        return folder.absolute().parent / f"{folder.name}.replaced-{os.urandom(4).hex()}"
    root, name = context.workspace.path / "undo", f"{context.workspace.next_operation():06d}"
    if os.path.lexists(root / name):  # Of a checkout that was killed: what it saved stays.
        return root / f"{name}-{os.urandom(4).hex()}"
    return root / name


@contextlib.contextmanager
def _open_local_copies(
    tree: Tree, files: tuple[ManifestFile, ...]
) -> Iterator[dict[BlobId, LocalCopy]]:
    """Yield blobs to be written that lie whole in files of the folder, these being open."""
    wanted = {s.blob for f in files for s in f.segments if s.length >= HELD_FROM_BYTES and not s.offset}
    local_copies: dict[BlobId, LocalCopy] = {}
    with contextlib.ExitStack() as stack:
        opened = 0
        for file in tree.found.files:
            entry = tree.entries.get(file.path)
            if entry is None or opened == _OLD_FILES_AT_ONCE:
                continue
            position, found = 0, []
            for segment in entry.segments:
                if segment.blob in wanted and segment.blob not in local_copies and not segment.offset:
                    found.append((segment, position))
                position += segment.length
            if not found:
                continue
            try:
                source = stack.enter_context(OpenFile(file))
            except MStoreError:
                continue  # It was there a moment ago; the store has what it held.
            opened += 1
            for segment, at in found:
                local_copies[segment.blob] = LocalCopy(source.descriptor, at, segment.length)
        yield local_copies
