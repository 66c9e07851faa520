"""Revisions: what a user may type where a commit is due.

NAME            a branch, then a tag, then a full or short id
HEAD            where the workspace stands (also `@`)
NAME@{n}        where the branch was n moves ago
REV~n  REV^  REV^n
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mstore.context import peeled
from mstore.errors import InvalidInput, NotFound, RevisionNotFound, UsageError
from mstore.frozen import frozen
from mstore.store import ambiguous, check_ref_name

if TYPE_CHECKING:
    from mstore.context import Context
    from mstore.objects import CommitId

_SOUGHT: Final = ("best", "last", "max", "min", "step")
_HEX: Final = re.compile(r"[0-9a-f]{4,64}")
_STEP: Final = re.compile(r"~([0-9]*)|\^([0-9]*)|@\{([0-9]+)\}")


@frozen(slots=True)
class Resolved:
    """What a revision stands for.

    Args:
        id: the commit.
        branch: the branch that was named plainly, or None.
        warning: one sentence, or None.
    """

    id: CommitId
    branch: str | None = None
    warning: str | None = None


def resolve(context: Context, revision: str) -> Resolved:
    """Find the commit that a revision names.

    Raises:
        RevisionNotFound: nothing has this name; near ones are listed.
        Ambiguous: a short id fits several commits.
        UsageError: it has no meaning here.
    """
    match = _STEP.search(revision)
    if match is None:
        return _plain(context, revision)
    name, position = revision[: match.start()], match.start()
    branch: str | None = None
    if match.group(3) is not None:
        found = Resolved(_earlier(context, name, int(match.group(3))))
        position = match.end()
    else:
        found = _plain(context, name)
        branch = None
    id = found.id
    while position < len(revision):
        step = _STEP.match(revision, position)
        if step is None or step.group(3) is not None:
            raise UsageError(f"cannot read revision {revision!r} from {revision[position:]!r} on")
        id = _step(context, id, step, revision)
        position = step.end()
    return Resolved(id, branch, found.warning)


def _step(context: Context, id: CommitId, step: re.Match[str], revision: str) -> CommitId:
    def parent(child: CommitId, number: int) -> CommitId:
        parents = context.store.commit(child).parents
        if number > len(parents):
            what = "no parent" if not parents else f"no parent {number}"
            raise RevisionNotFound(revision, hint=f"{child.short} has {what}")
        return parents[number - 1]

    if step.group(1) is not None:
        for _ in range(int(step.group(1) or 1)):
            id = parent(id, 1)
        return id
    number = int(step.group(2) or 1)
    return parent(id, number) if number else id


def _earlier(context: Context, name: str, moves: int) -> CommitId:
    head = context.head
    if not name or name in ("HEAD", "@"):
        if head is None or head.branch is None:
            raise UsageError(f"{name or ''}@{{{moves}}} needs a branch", hint="for example main@{1}")
        name = head.branch
    check_ref_name(name)
    try:
        records = context.store.refs.log(f"heads/{name}")
    except NotFound:
        raise _not_found(context, name) from None
    if moves >= len(records):
        raise RevisionNotFound(f"{name}@{{{moves}}}", hint=f"{name} has moved {len(records)} times")
    target = records[moves].new
    if target is None:
        raise RevisionNotFound(f"{name}@{{{moves}}}", hint=f"{name} was deleted then")
    return peeled(context.store, target)


def _sought(context: Context, kind: str, what: str) -> Resolved:
    """`best:METRIC`, `min:`, `max:`, `step:N`, each perhaps with `@BRANCH`; `last:BRANCH`."""
    from mstore.history.entry import entry_of
    from mstore.history.query.best import best_of
    from mstore.history.walk import all_tips, walk

    if kind == "last":
        return Resolved(_tip(context, what), what)
    what, at, branch = what.rpartition("@") if "@" in what else (what, "", "")
    if not what or (at and not branch):
        raise UsageError(f"{kind}: needs a {'number' if kind == 'step' else 'metric'}")
    here = [_tip(context, branch)] if at else [i for i in [context.head_commit()] if i is not None]
    tips = here or all_tips(context)
    entries = [entry_of(context, id, commit, ()) for id, commit in walk(context.store, tips)]
    if kind != "step":
        return Resolved(best_of(entries, what, greater={"min": False, "max": True}.get(kind)).id)
    if not (what.isascii() and what.isdigit()):
        raise UsageError(f"step: needs a number, not {what!r}", hint="for example step:400")
    found = [entry for entry in entries if entry.step == int(what)]
    if not found and not at:
        everywhere = walk(context.store, all_tips(context))
        found = [e for e in (entry_of(context, i, c, ()) for i, c in everywhere) if e.step == int(what)]
    if not found:
        raise RevisionNotFound(f"step:{what}", hint="`mstore log --columns step,id,message` lists them")
    if len({entry.id for entry in found}) > 1 and not at:
        raise ambiguous(context.store, f"step:{what}", [entry.id for entry in found])
    return Resolved(found[0].id)


def _tip(context: Context, branch: str) -> CommitId:
    id = context.branch_tip(check_ref_name(branch))
    if id is None:
        raise _not_found(context, branch)
    return id


def _plain(context: Context, name: str) -> Resolved:
    if not name:
        raise UsageError("an empty revision names nothing")
    kind, colon, what = name.partition(":")
    if colon and kind in _SOUGHT:
        return _sought(context, kind, what)
    if name in ("HEAD", "@"):
        head = context.head
        if head is None:
            raise UsageError("HEAD needs a workspace", hint="name a branch, a tag or an id")
        id = context.head_commit()
        if id is None:
            raise RevisionNotFound("HEAD", hint=f"branch {head.branch} has no commit yet")
        return Resolved(id, head.branch)
    refs = context.store.refs
    try:
        check_ref_name(name)
        branch, tag = refs.read(f"heads/{name}"), refs.read(f"tags/{name}")
    except InvalidInput:
        branch = tag = None
    named = branch or tag
    if named is not None:
        warning = None
        if _HEX.fullmatch(name) and context.store.commits_beginning_with(name):
            kind = "branch" if branch is not None else "tag"
            warning = f"{name!r} is both a {kind} and the beginning of a commit id; the {kind} is meant"
        return Resolved(
            peeled(context.store, named.target), name if branch is not None else None, warning
        )
    if _HEX.fullmatch(name):
        found = context.store.commits_beginning_with(name)
        if len(found) == 1:
            return Resolved(found[0])
        if found:
            raise ambiguous(context.store, name, found)
    raise _not_found(context, name)


def _not_found(context: Context, name: str) -> RevisionNotFound:
    import difflib

    refs = context.store.refs
    names = [*refs.names("heads"), *refs.names("tags")]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    near += [n for n in names if name.casefold() in n.casefold() and n not in near][: 3 - len(near)]
    if near:
        return RevisionNotFound(name, near=tuple(near))
    hint = "there is no commit yet: `mstore commit DIR -m MESSAGE`"
    if names:
        hint = "there are: " + ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
    return RevisionNotFound(name, hint=hint)
