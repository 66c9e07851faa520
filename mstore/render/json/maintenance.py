"""One function from each result of looking after a store to the object that `--json` gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mstore.maintain.du import CommitUsage, GroupUsage, Usage
    from mstore.maintain.forget import ForgetPlan, ForgetResult
    from mstore.maintain.fsck import FsckResult, Problem
    from mstore.maintain.gc import GcPlan
    from mstore.maintain.gc_run import GcResult
    from mstore.maintain.repack import RepackResult
    from mstore.render.json import looking, maintaining


def usage_document(found: Usage) -> looking.UsageDocument:
    """Give what versions and the store cost."""
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
    """Give what a check found.

    Args:
        found: the findings; after a repair, those that are left.
        repaired: what a repair put right.
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


def gc_plan_document(plan: GcPlan) -> maintaining.GcPlanDocument:
    """Give what gc would do."""
    from mstore.objects import Time

    return {
        "versions": [
            {
                "id": version.id.hex,
                "subject": version.message,
                "branch": version.branch,
                "time": Time(version.time_ns, 0).iso(),
                "freed_bytes": version.freed_bytes,
            }
            for version in plan.commits
        ],
        "branch_bytes": dict(plan.branches()),
        "dead_pack_count": len(plan.dead_packs),
        "rewritten_pack_count": len(plan.rewritten_packs),
        "merged_pack_count": len(plan.merged_packs),
        "freed_bytes": plan.freed_bytes,
        "unfinished_bytes": plan.unfinished_bytes,
        "purged_bytes": plan.trash_bytes,
        "trash_bytes": plan.kept_trash_bytes,
        "pack_bytes": plan.store_bytes,
    }


def gc_document(plan: GcPlan, done: GcResult | None) -> maintaining.GcDocument:
    """Give what gc did; None where nothing had to be done."""
    return {
        "freed_bytes": done.freed_bytes if done is not None else 0,
        "trash_bytes": done.trash_bytes if done is not None else plan.kept_trash_bytes,
        "removed_pack_count": done.removed if done is not None else 0,
        "written_pack_count": done.written if done is not None else 0,
        "undeleted_pack_count": done.undeleted if done is not None else 0,
        "plan": gc_plan_document(plan),
    }


def forget_plan_document(plan: ForgetPlan) -> maintaining.ForgetPlanDocument:
    """Give what forget would do."""
    return {
        "versions": [
            {
                "id": version.id.hex,
                "subject": version.message,
                "roles": list(version.roles),
                "file_count": version.files,
                "size_bytes": version.size_bytes,
            }
            for version in plan.commits
        ],
        "kept_count": plan.kept,
        "freed_bytes": plan.freed_bytes,
    }


def forget_document(plan: ForgetPlan, done: ForgetResult | None) -> maintaining.ForgetDocument:
    """Give what forget did; None where nothing had to be done."""
    return {
        "version_count": done.commits if done is not None else 0,
        "freed_bytes": done.freed_bytes if done is not None else 0,
        "plan": forget_plan_document(plan),
    }


def repack_document(done: RepackResult) -> maintaining.RepackDocument:
    """Give what repack did."""
    return {
        "worth": done.worth,
        "before_bytes": done.before_bytes,
        "after_bytes": done.after_bytes,
        "removed_pack_count": done.removed,
        "written_pack_count": done.written,
        "kept_pack_count": done.kept,
    }
