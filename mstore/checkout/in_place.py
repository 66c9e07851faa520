"""Move HEAD, and make a branch, together with the files of a checkout in place."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mstore.context import Context, defer_unconfirmed, ref_move
from mstore.errors import DurabilityUnknown, MStoreError
from mstore.workspace import Head, Operation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mstore.checkout.plan import CheckoutPlan
    from mstore.objects import CommitId


def move_head(
    context: Context, plan: CheckoutPlan, backup: Path | None, unconfirmed: list[DurabilityUnknown]
) -> None:
    """Journal a checkout in place, make its branch, and move HEAD.

    Args:
        context: the store and the workspace.
        plan: the checkout's.
        backup: where replaced files are kept, or None.
        unconfirmed: takes what is done and may not outlast a power cut.

    Raises:
        MStoreError: HEAD and the branch are as they were, or the hint says what was done.
    """
    workspace = context.need_workspace("a checkout in place")
    before = plan.head or workspace.head
    after = Head(branch=plan.branch) if plan.branch is not None else Head(commit=plan.id)
    folder = plan.folder
    new_ref = ref_move(f"heads/{plan.new_branch}", None, plan.id)
    operation = Operation(
        f"checkout {plan.branch or plan.id.short}",
        (new_ref,) if plan.new_branch is not None else (),
        (_recorded(before, plan.at), _recorded(after, plan.id)),
        str(folder.path.resolve()) if folder is not None else None,
        backup.name if backup is not None else None,
        folder.touched if folder is not None else (),
    )
    with context.prepare_head(after) as set_head, contextlib.ExitStack() as stack:
        if before != after or folder is not None:
            stack.enter_context(workspace.journaled(operation))
        if plan.new_branch is not None:
            move = context.move("branch", f"made at {plan.id.short}")
            with defer_unconfirmed(unconfirmed):
                context.store.refs.move(f"heads/{plan.new_branch}", plan.id, move, expected=None)
        try:
            with defer_unconfirmed(unconfirmed):
                set_head()
        except MStoreError as error:
            if plan.new_branch is not None:
                _drop_branch(context, plan.new_branch, plan.id, error)
            raise


def _drop_branch(context: Context, branch: str, id: CommitId, error: MStoreError) -> None:
    move = context.move("branch", "HEAD could not follow")
    try:
        context.store.refs.move(f"heads/{branch}", None, move, expected=id)
    except MStoreError:
        # Even a record of its removal needs room.
        error.hint = f"the branch exists now: run `mstore checkout {branch}` to finish"


def _recorded(head: Head, commit: CommitId | None) -> dict[str, str]:
    """Return HEAD as an operation records it, with the commit that its files were of."""
    document: Mapping[str, str] = head.to_dict()
    return {**document, "at": commit.hex if commit is not None else ""}
