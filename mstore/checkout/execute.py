"""Run a checkout: a version becomes a model directory again, byte for byte.

It never edits a file. Three ways: into a folder that is absent or empty
(written beside it, then renamed), into a folder all of whose files the store
has, and in place (the model directory and HEAD move).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mstore.checkout.beside import write_beside
from mstore.checkout.in_place import move_head
from mstore.checkout.load_snippet import base_source, line_that_loads
from mstore.checkout.plan import CheckoutPlan, plan_files
from mstore.checkout.replace import files_replaced
from mstore.errors import Conflict, DurabilityUnknown, MStoreError
from mstore.history.query.resolve import resolved
from mstore.history.status import changes_between
from mstore.modeldir.read import read_folder
from mstore.modeldir.stored_tree import facts_of_manifest
from mstore.modeldir.visible import visible_manifest
from mstore.text import display_path
from mstore.workspace import Operation

if TYPE_CHECKING:
    from pathlib import Path

    from mstore.context import Context
    from mstore.history.query.resolve import AnyRevision
    from mstore.objects import Commit, CommitId
    from mstore.progress import Progress


@dataclass(frozen=True, kw_only=True)
class CheckoutResult:
    """The result of a checkout.

    Args:
        id: the commit.
        commit: its value.
        path: the folder written, or None where only HEAD moved.
        branch: the branch that HEAD points to now, or None.
        written: files written.
        removed: files removed.
        unchanged: files that were right already.
        backup: where replaced files are kept, or None.
        detached: HEAD points to a commit now.
        load: one line of Python that loads the version, ready to paste, or None.
        base: where the base of an adapter was written, so that the line works here, or None.
        warnings: one sentence each.
    """

    id: CommitId
    commit: Commit
    path: Path | None
    branch: str | None = None
    written: int = 0
    removed: int = 0
    unchanged: int = 0
    backup: Path | None = None
    detached: bool = False
    load: str | None = None
    base: Path | None = None
    warnings: tuple[str, ...] = field(default=())


def checkout(
    context: Context,
    revision: AnyRevision,
    *,
    to: Path | None = None,
    force: bool = False,
    new_branch: str | None = None,
    progress: Progress | None = None,
) -> CheckoutResult:
    """Write a version into a folder: plan, then run.

    Args:
        context: the store, and the workspace if there is one.
        revision: the version.
        to: the folder; None: the model directory, and HEAD moves.
        force: replace files that no commit holds, keeping a copy for `undo`.
        new_branch: make this branch at the revision and move HEAD to it.
        progress: called with bytes written.

    Raises:
        Dirty: files would be lost.
        BadPath: the version, or the folder, breaks a rule of paths.
        Conflict: the new branch exists, or the folder was changed meanwhile.
        UsageError, NotFound, Corrupt, StorageFailed.
    """
    version = resolved(context, revision)
    # No name may keep the version, and gc run beside.
    with context.store.protecting(version.id):
        plan = plan_files(context, version, to=to, force=force, new_branch=new_branch)
        return _run(context, plan, progress)


def run_checkout(
    context: Context, plan: CheckoutPlan, *, progress: Progress | None = None
) -> CheckoutResult:
    """Run a plan; errors as those of `checkout`.

    Args:
        context: the store, and the workspace if there is one.
        plan: from `plan_checkout`.
        progress: called with bytes written.
    """
    with context.store.protecting(plan.id):
        return _run(context, plan, progress)


def _run(context: Context, plan: CheckoutPlan, progress: Progress | None) -> CheckoutResult:
    write = _run_in_place if plan.in_place else _run_into
    backup = write(context, plan, progress)
    load: str | None = None
    base: Path | None = None
    warning: str | None = None
    if plan.path is not None:
        load, base, warning = _loading_line(context, plan, plan.path, progress)
    folder = plan.folder
    return CheckoutResult(
        id=plan.id,
        commit=plan.commit,
        path=plan.path,
        branch=plan.branch,
        written=len(folder.write) if folder is not None else 0,
        removed=len(folder.remove) if folder is not None else 0,
        unchanged=folder.unchanged if folder is not None else 0,
        backup=backup,
        detached=plan.in_place and plan.branch is None,
        load=load,
        base=base,
        warnings=(*plan.warnings, *([warning] if warning else [])),
    )


def _run_into(context: Context, plan: CheckoutPlan, progress: Progress | None) -> Path | None:
    """Write into a folder that the user named; HEAD stays."""
    folder = plan.folder
    assert folder is not None
    with files_replaced(context, folder, plan.manifest, progress) as backup:
        if context.workspace is not None and backup is not None:
            operation = Operation(
                f"checkout {plan.id.short} --to {folder.path}",
                folder=str(folder.path.resolve()),
                backup=backup.name,
                touched=folder.touched,
                version=plan.id.hex,
            )
            with context.workspace.journaled(operation):
                pass  # What belongs to it is done; where this fails, it is taken back.
    return backup


def _run_in_place(context: Context, plan: CheckoutPlan, progress: Progress | None) -> Path | None:
    """Write the model directory, and move HEAD."""
    _check_still_there(context, plan)
    unconfirmed: list[DurabilityUnknown] = []
    backup: Path | None = None
    if plan.folder is None:
        move_head(context, plan, None, unconfirmed)
    else:
        with files_replaced(context, plan.folder, plan.manifest, progress) as backup:
            move_head(context, plan, backup, unconfirmed)
    if unconfirmed:
        raise unconfirmed[0]
    return backup


def _check_still_there(context: Context, plan: CheckoutPlan) -> None:
    """Compare HEAD and the branch with what was planned. Raises Conflict."""
    moved = None
    if plan.head != context.head or plan.at != context.head_commit():
        moved = "HEAD was moved"
    elif plan.new_branch is not None and context.branch_tip(plan.new_branch) is not None:
        moved = f"branch {plan.new_branch} was made"
    elif (
        plan.branch is not None
        and plan.new_branch is None
        and context.branch_tip(plan.branch) != plan.id
    ):
        moved = f"branch {plan.branch} was moved"
    if moved is not None:
        raise Conflict(
            f"{moved} after the checkout was planned",
            hint="nothing was written; run the same command again",
        )


def _loading_line(
    context: Context, plan: CheckoutPlan, path: Path, progress: Progress | None
) -> tuple[str | None, Path | None, str | None]:
    """Write the base if the line needs it; give the line, the base and a warning."""
    facts = facts_of_manifest(context.store, plan.manifest)
    source = base_source(context.store, plan.commit, plan.manifest, facts)
    base: Path | None = None
    warning: str | None = None
    if source is not None and source.commit is not None:
        base = path.with_name(f"{path.name}-base")
        wanted = visible_manifest(context.store, source.commit, context.store.commit(source.commit))
        try:
            if not os.path.lexists(base):
                write_beside(context.store, wanted, base, progress)
            elif base.is_symlink() or changes_between(
                read_folder(base, exclude=context.own_folders), wanted
            ):
                raise Conflict(f"{display_path(base)} holds something else")
        except MStoreError as error:
            # The version itself is there; only the line cannot be made to work.
            warning = (
                f"the base of this adapter was not written: {error.message};"
                f" `mstore checkout {source.commit.short} --to DIR` writes it"
            )
            base = None
    return line_that_loads(facts, path, source, base), base, warning
