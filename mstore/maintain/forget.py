"""forget: drop files of some roles from old versions for good.

The versions keep their ids, and a note on each says what was dropped and when.
A plan first, then its execution: notes, then the bytes. If it is killed in between, the
next `gc` frees the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mstore.errors import RevisionNotFound, UsageError
from mstore.history.entry import LogEntry, entry_of
from mstore.history.query.best import best_of
from mstore.history.walk import walk
from mstore.maintain.gc import plan_gc
from mstore.maintain.gc_plan import GcPlan, no_longer_holds
from mstore.maintain.gc_run import run_gc
from mstore.objects import ROLES, CommitId
from mstore.plan import Plan
from mstore.store import FORGOTTEN, add_notes, forgotten_roles
from mstore.text import counted, escaped, size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mstore.context import Context
    from mstore.objects import Manifest
    from mstore.progress import Progress

_EVERYTHING: Final = 1 << 40


@dataclass(frozen=True, kw_only=True)
class ForgottenFiles:
    """Files that one version loses.

    Args:
        id: the commit.
        message: its first line.
        roles: whose files go.
        files: how many.
        size_bytes: their sizes, as files.
    """

    id: CommitId
    message: str
    roles: tuple[str, ...]
    files: int
    size_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object (docs/json.md)."""
        return {
            "id": self.id.hex,
            "subject": self.message,
            "roles": list(self.roles),
            "file_count": self.files,
            "size_bytes": self.size_bytes,
        }


@dataclass(frozen=True, kw_only=True)
class ForgetPlan(Plan):
    """The plan of a forget.

    Args:
        commits: versions that lose files, the oldest first.
        kept: versions that keep theirs.
        freed_bytes: stored bytes that nothing needs then.
        gc: how those are given back; None in a plan that does nothing.
    """

    commits: tuple[ForgottenFiles, ...] = ()
    kept: int = 0
    freed_bytes: int = 0
    gc: GcPlan | None = field(default=None, repr=False)

    def __str__(self) -> str:
        if not self.commits:
            return f"would forget nothing, and keep the files of {counted(self.kept, 'version')}"
        lines = [
            f"{c.id.short}  {size(c.size_bytes):>9}  {', '.join(c.roles)}  {escaped(c.message)}"
            for c in self.commits
        ]
        return "\n".join(
            [
                *lines,
                f"would free {size(self.freed_bytes)} of {counted(len(self.commits), 'version')} for"
                f" good, and keep the files of {counted(self.kept, 'version')}",
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object (docs/json.md)."""
        return {
            "versions": [files.to_dict() for files in self.commits],
            "kept_count": self.kept,
            "freed_bytes": self.freed_bytes,
        }


@dataclass(frozen=True, kw_only=True)
class ForgetResult:
    """The result of a forget.

    Args:
        commits: versions that lost files.
        freed_bytes: bytes that the disk gained.
    """

    commits: int = 0
    freed_bytes: int = 0


def plan_forget(
    context: Context,
    roles: Iterable[str],
    *,
    keep_last: int = 1,
    keep_best: str | None = None,
    branch: str | None = None,
) -> ForgetPlan:
    """Plan which files would be dropped; changes nothing.

    A version that several branches have keeps its files if one of them keeps it, and what
    a tag names is never touched.

    Args:
        context: the store, and the workspace if there is one.
        roles: whose files go.
        keep_last: versions of each branch, from its tip, that keep them.
        keep_best: a metric; the best version of each branch by it keeps them too.
        branch: of this branch alone.

    Raises:
        UsageError: no such role, or a number below 0.
        RevisionNotFound: no such branch.
        NotFound, Corrupt: the store is damaged.
    """
    wanted = tuple(dict.fromkeys(roles))
    unknown = [role for role in wanted if role not in ROLES]
    if unknown or not wanted:
        what = f"no such role: {unknown[0]!r}" if unknown else "no role was named"
        raise UsageError(what, hint="roles: " + ", ".join(ROLES))
    if keep_last < 0:
        raise UsageError(f"the number of versions to keep is 0 or more, not {keep_last}")
    store = context.store
    branches = store.refs.all("heads")
    if branch is not None and branch not in branches:
        raise RevisionNotFound(branch)
    chosen: dict[CommitId, ForgottenFiles] = {}
    kept = _tagged(context)
    for name in branches:
        keep = keep_last if branch in (None, name) else _EVERYTHING
        best = keep_best if branch in (None, name) else None
        dropped, kept_ids = _of_branch(context, name, wanted, keep, best)
        chosen.update(dropped)
        kept |= kept_ids
    commits = {id: files for id, files in chosen.items() if id not in kept}
    if not commits:
        return ForgetPlan(kept=len(kept))
    plan = plan_gc(context, forgetting={id: frozenset(files.roles) for id, files in commits.items()})
    return ForgetPlan(
        commits=tuple(reversed(commits.values())),
        kept=len(kept),
        freed_bytes=plan.freed_bytes,
        gc=plan,
    )


def run_forget(context: Context, plan: ForgetPlan, *, progress: Progress | None = None) -> ForgetResult:
    """Run a plan.

    Args:
        context: the store, and the workspace if there is one.
        plan: from `plan_forget`.
        progress: is called with the bytes written and checked so far.

    Raises:
        Conflict: a gc or repack is running; the notes are stored, and the next gc frees the bytes.
        StorageFailed: the store is read-only, or the system failed.
    """
    if plan.gc is None:
        return ForgetResult()
    notes = [
        (c.id, FORGOTTEN, {"roles": list(c.roles), "files": c.files, "size_bytes": c.size_bytes})
        for c in plan.commits
    ]
    packs = plan.gc.layout.packs if plan.gc.layout is not None else frozenset()
    if not packs <= set(context.store.pack_names()):
        raise no_longer_holds("a gc or repack removed packs")
    add_notes(context.store, notes, context.move("forget", ", ".join(plan.commits[0].roles)))
    done = run_gc(context, plan.gc, progress=progress)
    return ForgetResult(commits=len(plan.commits), freed_bytes=done.freed_bytes)


def _tagged(context: Context) -> set[CommitId]:
    from mstore.context import peeled

    tags = context.store.refs.all("tags").values()
    return {peeled(context.store, value.target) for value in tags}


def _of_branch(
    context: Context, name: str, roles: tuple[str, ...], keep: int, best: str | None
) -> tuple[dict[CommitId, ForgottenFiles], set[CommitId]]:
    """List the versions of a branch with files of some roles: those that lose them, and the others."""
    store = context.store
    tip = context.branch_tip(name)
    having: list[tuple[LogEntry, ForgottenFiles]] = []
    for id, commit in walk(store, [tip] if tip is not None else []):
        files = _files(context, id, store.manifest(commit.manifest), roles, commit.message)
        if files is not None:
            having.append((entry_of(context, id, commit, ()), files))
    kept_ids = {files.id for _, files in having[:keep]}
    if best is not None and any(best in entry.metrics for entry, _ in having):
        kept_ids.add(best_of([entry for entry, _ in having], best).id)
    return {files.id: files for _, files in having if files.id not in kept_ids}, kept_ids


def _files(
    context: Context, id: CommitId, manifest: Manifest, roles: tuple[str, ...], message: str
) -> ForgottenFiles | None:
    present = [f for f in manifest.files if f.role in roles]
    if not present:
        return None
    dropped = forgotten_roles(context.store, id)
    present = [f for f in present if f.role not in dropped]
    if not present:
        return None
    return ForgottenFiles(
        id=id,
        message=message.partition("\n")[0],
        roles=tuple(r for r in roles if any(f.role == r for f in present)),
        files=len(present),
        size_bytes=sum(f.size_bytes for f in present),
    )
