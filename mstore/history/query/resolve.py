"""From a revision to its commit: the look-up of what `revision_grammar` has read.

`resolved` is the one door for all that a caller may hold. `resolve` is the look-up itself and
runs once for each revision that a user typed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from mstore.context import peeled
from mstore.errors import Ambiguous, InvalidInput, NotFound, RevisionNotFound, UsageError
from mstore.frozen import frozen
from mstore.history.query.revision_grammar import (
    AtHead,
    ByMetric,
    ByStep,
    Named,
    Revision,
    Step,
    TipOf,
    parse,
)
from mstore.objects import CommitId
from mstore.store import check_ref_name
from mstore.text import counted, near_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mstore.context import Context
    from mstore.history.entry import LogEntry

_HEX: Final = re.compile(r"[0-9a-f]{4,64}")


@frozen(slots=True)
class Resolved:
    """The commit that a revision names.

    Args:
        id: the commit.
        branch: the branch whose tip was named, which a checkout then points HEAD to: `NAME`,
            `HEAD`, `last:BRANCH`; None for every other form, also for `NAME~0`.
        warning: one sentence, or None.
    """

    id: CommitId
    branch: str | None = None
    warning: str | None = None


AnyRevision: TypeAlias = "str | Revision | Resolved | CommitId"
"""The forms in which a version is named: text, that text read, its resolution, an id."""


def resolved(context: Context, revision: AnyRevision) -> Resolved:
    """Resolve a revision in any of its forms; a resolved one is returned as it is.

    Raises:
        RevisionNotFound: nothing has this name; near ones are listed.
        Ambiguous: a short id fits several commits.
        UsageError: the text cannot be read, or has no meaning here.
    """
    if isinstance(revision, Resolved):
        return revision
    if isinstance(revision, CommitId):
        # An id is no name: a branch that is called like it is not meant.
        if not context.store.commits_beginning_with(revision.hex):
            raise _not_found(context, revision.hex)
        return Resolved(revision)
    return resolve(context, parse(revision) if isinstance(revision, str) else revision)


def resolve(context: Context, revision: Revision) -> Resolved:
    """Look up the commit that a revision names.

    Raises:
        RevisionNotFound: nothing has this name; near ones are listed.
        NotFound: no version has the metric.
        Ambiguous: a short id fits several commits, or a training step.
        UsageError: it has no meaning here.
        InvalidInput: a branch's name is one that no branch may have.
    """
    found = _base(context, revision)
    if not revision.steps:
        return found
    id = found.id
    for step in revision.steps:
        id = _stepped(context, id, step, revision)
    return Resolved(id, None, found.warning)


def _base(context: Context, revision: Revision) -> Resolved:
    match revision.base:
        case (AtHead() | Named()) as base if revision.moves is not None:
            return Resolved(_earlier(context, base, revision.moves))
        case AtHead():
            return _head(context)
        case Named(name):
            return _named(context, name)
        case TipOf(branch):
            return Resolved(_tip(context, branch), branch)
        case ByMetric() as base:
            return Resolved(_by_metric(context, base))
        case ByStep() as base:
            return Resolved(_by_step(context, base))


def _stepped(context: Context, id: CommitId, step: Step, revision: Revision) -> CommitId:
    """Go one step back along parents."""

    def parent(child: CommitId, number: int) -> CommitId:
        parents = context.store.commit(child).parents
        if number > len(parents):
            what = "no parent" if not parents else f"no parent {number}"
            raise RevisionNotFound(str(revision), hint=f"{child.short} has {what}")
        return parents[number - 1]

    if step.sign == "^":
        return parent(id, step.count) if step.count else id
    for _ in range(step.count):
        id = parent(id, 1)
    return id


def _earlier(context: Context, base: AtHead | Named, moves: int) -> CommitId:
    """Find where a branch was before its last moves, in its reflog."""
    if isinstance(base, AtHead):
        head = context.head
        if head is None or head.branch is None:
            raise UsageError(f"{base}@{{{moves}}} needs a branch", hint="for example main@{1}")
        name = head.branch
    else:
        name = check_ref_name(base.name)
    try:
        records = context.store.refs.log(f"heads/{name}")
    except NotFound:
        raise _not_found(context, name) from None
    if moves >= len(records):
        raise RevisionNotFound(
            f"{name}@{{{moves}}}", hint=f"{name} has moved {counted(len(records), 'time')}"
        )
    target = records[moves].new
    if target is None:
        raise RevisionNotFound(f"{name}@{{{moves}}}", hint=f"{name} was deleted then")
    return peeled(context.store, target)


def _head(context: Context) -> Resolved:
    head = context.head
    if head is None:
        raise UsageError("HEAD needs a workspace", hint="name a branch, a tag or an id")
    id = context.head_commit()
    if id is None:
        raise RevisionNotFound("HEAD", hint=f"branch {head.branch} has no commit yet")
    return Resolved(id, head.branch)


def _named(context: Context, name: str) -> Resolved:
    """Look up a branch, else a tag, else the beginning of an id."""
    refs = context.store.refs
    try:
        check_ref_name(name)
        branch, tag = refs.read(f"heads/{name}"), refs.read(f"tags/{name}")
    except InvalidInput:
        branch = tag = None
    ids = context.store.commits_beginning_with(name) if _HEX.fullmatch(name) else []
    ref = branch or tag
    if ref is not None:
        kind, warning = "branch" if branch is not None else "tag", None
        if ids:
            warning = f"{name!r} is both a {kind} and the beginning of a commit id; the {kind} is meant"
        return Resolved(
            peeled(context.store, ref.target), name if branch is not None else None, warning
        )
    if not ids:
        raise _not_found(context, name)
    if len(ids) > 1:
        raise Ambiguous(name, _candidates(context, ids))
    return Resolved(ids[0])


def _tip(context: Context, branch: str) -> CommitId:
    id = context.branch_tip(check_ref_name(branch))
    if id is None:
        raise _not_found(context, branch)
    return id


# -- by what is known of a version


def _by_metric(context: Context, base: ByMetric) -> CommitId:
    from mstore.history.query.best import best_of

    greater = {"best": None, "min": False, "max": True}[base.direction]
    return best_of(_history(context, base.branch), base.metric, greater=greater).id


def _by_step(context: Context, base: ByStep) -> CommitId:
    """Find the version of a step in a branch's history; in HEAD's, else anywhere, the only one."""
    from mstore.history.walk import all_tips

    found = _at_step(_history(context, base.branch), base.step)
    if not found and base.branch is None:
        found = _at_step(_entries(context, all_tips(context)), base.step)
    if not found:
        raise RevisionNotFound(str(base), hint="`mstore log --columns step,id,message` lists them")
    if len(found) > 1 and base.branch is None:
        raise Ambiguous(
            str(base),
            _candidates(context, found),
            message=f"{len(found)} versions are of step {base.step}",
        )
    return found[0]


def _at_step(entries: Iterable[LogEntry], step: int) -> list[CommitId]:
    from mstore.objects.json_values import json_equal

    # As `--where 'step == N'` asks, and as the column `step` of `log` shows.
    return [entry.id for entry in entries if json_equal(entry.column("step"), step)]


def _history(context: Context, branch: str | None) -> list[LogEntry]:
    """List the versions of a branch's history, or of HEAD's, or all where there is no HEAD."""
    from mstore.history.walk import all_tips

    at = _tip(context, branch) if branch is not None else context.head_commit()
    return _entries(context, [at] if at is not None else all_tips(context))


def _entries(context: Context, tips: Iterable[CommitId]) -> list[LogEntry]:
    from mstore.history.entry import entry_of
    from mstore.history.walk import walk

    return [entry_of(context, id, commit, ()) for id, commit in walk(context.store, tips)]


# -- what to say where nothing, or too much, was found


def _candidates(context: Context, ids: Iterable[CommitId]) -> tuple[str, ...]:
    """Make one line a commit, from which a user can choose."""
    lines = []
    for id in sorted(set(ids)):
        commit = context.store.commit(id)
        first = commit.message.partition("\n")[0]
        lines.append(f"{id.hex[:12]}  {commit.time.iso()[:10]}  {first!r}")
    return tuple(lines)


def _not_found(context: Context, name: str) -> RevisionNotFound:
    refs = context.store.refs
    names = [*refs.names("heads"), *refs.names("tags")]
    near = [*near_names(name, names)]
    near += [n for n in names if name.casefold() in n.casefold() and n not in near][: 3 - len(near)]
    if near:
        return RevisionNotFound(name, near=tuple(near))
    hint = "there is no commit yet: `mstore commit DIR -m MESSAGE`"
    if names:
        hint = "there are: " + ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
    return RevisionNotFound(name, hint=hint)


__all__ = ["Resolved", "resolve", "resolved"]
