"""End a commit of a folder that holds what its branch has: at most a note is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mstore.commit.options import CommitResult
from mstore.history.sizes import sizes_of_commit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mstore.commit.plan import CommitPlan
    from mstore.context import Context
    from mstore.objects import NoteId


def run_unchanged(
    context: Context,
    plan: CommitPlan,
    *,
    metrics: Mapping[str, float] | None = None,
    warnings: tuple[str, ...] = (),
) -> CommitResult:
    """End a commit where nothing changed; metrics and metadata that are new become a note.

    Args:
        context: the store, and the workspace if there is one.
        plan: the commit's; it has a parent.
        metrics: numbers by name; None: those of the options.
        warnings: one sentence each.

    Raises:
        RefMoved, StorageFailed.
    """
    assert plan.parent is not None
    assert plan.parent_id is not None
    if metrics is None:
        metrics = plan.options.metrics
    note = None
    if metrics or plan.options.metadata:
        note = _noted(context, plan, metrics)
    return CommitResult(
        id=plan.parent_id,
        commit=plan.parent,
        branch=plan.branch,
        created=False,
        note=note,
        sizes=sizes_of_commit(context.store, plan.parent_id, plan.parent),
        ignored=plan.scan.ignored,
        warnings=warnings,
    )


def _noted(context: Context, plan: CommitPlan, metrics: Mapping[str, float]) -> NoteId | None:
    from mstore.commit.note import add_facts
    from mstore.objects.json_values import json_equal
    from mstore.store import late_facts
    from mstore.text import storable

    assert plan.parent is not None
    assert plan.parent_id is not None
    late = late_facts(context.store, plan.parent_id)
    numbers = {**plan.parent.metrics, **late.metrics}
    facts = {**plan.parent.metadata, **late.metadata}
    payload: dict[str, Any] = {}
    new = {k: float(v) for k, v in metrics.items() if not json_equal(numbers.get(k), float(v))}
    if new:
        payload["metrics"] = new
    # As it would be stored: a tuple comes back as a list, a huge integer as text.
    given = storable(dict(plan.options.metadata))
    more = {k: v for k, v in given.items() if k not in facts or not json_equal(facts[k], v)}
    if more:
        payload["metadata"] = more
    if not payload:
        return None
    return add_facts(context, plan.parent_id, payload, "later facts")
