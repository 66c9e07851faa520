"""Restore the files of a folder to their state before a checkout."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from mstore.checkout.plan import folder_plan, some
from mstore.checkout.replace import files_replaced
from mstore.errors import Conflict, Dirty
from mstore.history.status import compare_folder
from mstore.modeldir.visible import visible_manifest
from mstore.objects import CommitId, Manifest
from mstore.text import display_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mstore.context import Context


def check_unchanged(
    context: Context, folder: Path, version: CommitId, touched: tuple[str, ...]
) -> None:
    """Refuse to take back files that were changed since they were written.

    Raises:
        Dirty: some were.
    """
    _, changes = compare_folder(context, folder, version)
    _refuse_changed(folder, [p for p in changes.paths() if p in set(touched)])


def _refuse_changed(folder: Path, paths: Sequence[str]) -> None:
    if paths:
        raise Dirty(
            f"{display_path(folder)} was changed since: {some(tuple(paths))}",
            tuple(paths),
            hint="`mstore commit` keeps that; then `mstore checkout` goes where you want",
        )


@contextlib.contextmanager
def files_put_back(
    context: Context,
    folder: Path,
    before: CommitId | None,
    after: CommitId,
    touched: tuple[str, ...],
) -> Iterator[None]:
    """Undo a checkout in place: what it wrote or removed becomes what the version before has.

    Where the body fails, the files are as they were.

    Args:
        context: the store, and the workspace if there is one.
        folder: the model directory.
        before: the version that it held; None: none.
        after: the version that checkout wrote.
        touched: paths that checkout wrote or removed; no other file is looked at.

    Raises:
        Dirty: one of them was changed since.
        Conflict: the folder is gone.
    """
    if not folder.is_dir():
        raise Conflict(f"{folder} is gone")
    tree, changes = compare_folder(context, folder, after)
    target = Manifest(())
    if before is not None:
        target = visible_manifest(context.store, before, context.store.commit(before))

    def is_back(path: str) -> bool:
        """Return whether an undo that was killed had restored this one."""
        entry, wanted = tree.entries.get(path), target.by_path.get(path)
        return (entry.segments if entry else None) == (wanted.segments if wanted else None)

    _refuse_changed(folder, [p for p in changes.paths() if p in set(touched) and not is_back(p)])
    plan = folder_plan(folder, tree, target)
    only = set(touched)
    plan = replace(
        plan,
        write=tuple(f for f in plan.write if f.path in only),
        remove=tuple(p for p in plan.remove if p in only),
    )
    with files_replaced(context, plan, target):
        yield
