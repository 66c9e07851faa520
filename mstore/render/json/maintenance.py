"""One function from each result of looking after a store to the object that `--json` gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mstore.maintain.du import CommitUsage, GroupUsage, Usage
    from mstore.maintain.forget import ForgetPlan, ForgetResult
    from mstore.maintain.fsck import FsckResult, Problem
    from mstore.maintain.gc_plan import GcPlan
    from mstore.maintain.gc_run import GcResult
    from mstore.maintain.repack import RepackResult
    from mstore.render.json import looking, maintaining


def usage_document(found: Usage) -> looking.UsageDocument:
    """Give the cost of versions and of the store."""
    return {
        "versions": [_cost(version) for version in found.commits],
        "version_count": found.versions,
        "size_bytes": found.raw_bytes,
        "pack_bytes": found.pack_bytes,
    }


def _cost(version: CommitUsage) -> looking.CostDocument:
    return {
        "id": version.id.hex,
        "subject": version.message,
        "groups": [_group(group) for group in version.groups],
        "total": _group(version.total),
        "freed_bytes": version.freed_bytes,
        "protected_bytes": version.protected_bytes,
    }


def _group(group: GroupUsage) -> looking.GroupDocument:
    return {
        "name": group.name,
        "size_bytes": group.raw_bytes,
        "shared_bytes": group.shared_bytes,
        "added_bytes": group.new_bytes,
        "stored_bytes": group.stored_bytes,
        "delta_bytes": group.delta_bytes,
    }


def fsck_document(found: FsckResult, repaired: Sequence[str] = ()) -> looking.FsckDocument:
    """Give the findings of a check.

    Args:
        found: the findings; after a repair, those that are left.
        repaired: the repairs.
    """
    return {
        "ok": found.ok,
        "quick": found.quick,
        "repaired": list(repaired),
        "problems": [_problem(problem) for problem in found.problems],
        "harmless": [_problem(problem) for problem in found.warnings],
        "pack_count": found.packs,
        "object_count": found.objects,
        "commit_count": found.commits,
        "read_bytes": found.bytes_read,
    }


def _problem(problem: Problem) -> looking.ProblemDocument:
    return {
        "where": problem.where,
        "what": problem.what,
        "affects": list(problem.affects),
        "hint": problem.hint,
    }


def gc_document(plan: GcPlan, done: GcResult | None) -> maintaining.GcDocument:
    """Give the result of a gc; None where nothing had to be done."""
    return {
        "freed_bytes": done.freed_bytes if done is not None else 0,
        "trash_bytes": done.trash_bytes if done is not None else plan.kept_trash_bytes,
        "removed_pack_count": done.removed if done is not None else 0,
        "written_pack_count": done.written if done is not None else 0,
        "undeleted_pack_count": done.undeleted if done is not None else 0,
        "plan": cast("maintaining.GcPlanDocument", plan.to_dict()),
    }


def forget_document(plan: ForgetPlan, done: ForgetResult | None) -> maintaining.ForgetDocument:
    """Give the result of a forget; None where nothing had to be done."""
    return {
        "version_count": done.commits if done is not None else 0,
        "freed_bytes": done.freed_bytes if done is not None else 0,
        "plan": cast("maintaining.ForgetPlanDocument", plan.to_dict()),
    }


def repack_document(done: RepackResult) -> maintaining.RepackDocument:
    """Give the result of a repack."""
    return {
        "worth": done.worth,
        "before_bytes": done.before_bytes,
        "after_bytes": done.after_bytes,
        "removed_pack_count": done.removed,
        "written_pack_count": done.written,
        "kept_pack_count": done.kept,
    }
