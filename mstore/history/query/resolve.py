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
from mstore.errors import NotFound, Refused, RevisionNotFound, UsageError
from mstore.frozen import dataclass
from mstore.store import ambiguous, check_ref_name

if TYPE_CHECKING:
    from mstore.context import Place
    from mstore.objects import CommitId

_SOUGHT: Final = ("best", "last", "max", "min", "step")
_HEX: Final = re.compile(r"[0-9a-f]{4,64}")
_STEP: Final = re.compile(r"~([0-9]*)|\^([0-9]*)|@\{([0-9]+)\}")


@dataclass(frozen=True, slots=True)
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


def resolve(place: Place, revision: str) -> Resolved:
    """Find the commit that a revision names.

    Raises:
        RevisionNotFound: nothing has this name; near ones are listed.
        Ambiguous: a short id fits several commits.
        UsageError: it has no meaning here.
    """
    match = _STEP.search(revision)
    if match is None:
        return _plain(place, revision)
    name, position = revision[: match.start()], match.start()
    branch: str | None = None
    if match.group(3) is not None:
        found = Resolved(_earlier(place, name, int(match.group(3))))
        position = match.end()
    else:
        found = _plain(place, name)
        branch = None
    id = found.id
    while position < len(revision):
        step = _STEP.match(revision, position)
        if step is None or step.group(3) is not None:
            raise UsageError(f"cannot read revision {revision!r} from {revision[position:]!r} on")
        id = _step(place, id, step, revision)
        position = step.end()
    return Resolved(id, branch, found.warning)


def _step(place: Place, id: CommitId, step: re.Match[str], revision: str) -> CommitId:
    def parent(child: CommitId, number: int) -> CommitId:
        parents = place.store.commit(child).parents
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


def _earlier(place: Place, name: str, moves: int) -> CommitId:
    head = place.head
    if not name or name in ("HEAD", "@"):
        if head is None or head.branch is None:
            raise UsageError(f"{name or ''}@{{{moves}}} needs a branch", hint="for example main@{1}")
        name = head.branch
    check_ref_name(name)
    try:
        records = place.store.refs.log(f"heads/{name}")
    except NotFound:
        raise _not_found(place, name) from None
    if moves >= len(records):
        raise RevisionNotFound(f"{name}@{{{moves}}}", hint=f"{name} has moved {len(records)} times")
    target = records[moves].new
    if target is None:
        raise RevisionNotFound(f"{name}@{{{moves}}}", hint=f"{name} was deleted then")
    return peeled(place.store, target)


def _sought(place: Place, kind: str, what: str) -> Resolved:
    """`best:METRIC`, `min:`, `max:`, `step:N`, each perhaps with `@BRANCH`; `last:BRANCH`."""
    from mstore.history.entry import entry_of
    from mstore.history.query.best import best_of
    from mstore.history.walk import all_tips, walk

    if kind == "last":
        return Resolved(_tip(place, what), what)
    what, at, branch = what.rpartition("@") if "@" in what else (what, "", "")
    if not what or (at and not branch):
        raise UsageError(f"{kind}: needs a {'number' if kind == 'step' else 'metric'}")
    here = [_tip(place, branch)] if at else [i for i in [place.head_commit()] if i is not None]
    tips = here or all_tips(place)
    entries = [entry_of(place, id, commit, ()) for id, commit in walk(place.store, tips)]
    if kind != "step":
        return Resolved(best_of(entries, what, greater={"min": False, "max": True}.get(kind)).id)
    if not (what.isascii() and what.isdigit()):
        raise UsageError(f"step: needs a number, not {what!r}", hint="for example step:400")
    found = [entry for entry in entries if entry.step == int(what)]
    if not found and not at:
        everywhere = walk(place.store, all_tips(place))
        found = [e for e in (entry_of(place, i, c, ()) for i, c in everywhere) if e.step == int(what)]
    if not found:
        raise RevisionNotFound(f"step:{what}", hint="`mstore log --columns step,id,message` lists them")
    if len({entry.id for entry in found}) > 1 and not at:
        raise ambiguous(place.store, f"step:{what}", [entry.id for entry in found])
    return Resolved(found[0].id)


def _tip(place: Place, branch: str) -> CommitId:
    id = place.branch_tip(check_ref_name(branch))
    if id is None:
        raise _not_found(place, branch)
    return id


def _plain(place: Place, name: str) -> Resolved:
    if not name:
        raise UsageError("an empty revision names nothing")
    kind, colon, what = name.partition(":")
    if colon and kind in _SOUGHT:
        return _sought(place, kind, what)
    if name in ("HEAD", "@"):
        head = place.head
        if head is None:
            raise UsageError("HEAD needs a workspace", hint="name a branch, a tag or an id")
        id = place.head_commit()
        if id is None:
            raise RevisionNotFound("HEAD", hint=f"branch {head.branch} has no commit yet")
        return Resolved(id, head.branch)
    refs = place.store.refs
    try:
        check_ref_name(name)
        branch, tag = refs.read(f"heads/{name}"), refs.read(f"tags/{name}")
    except Refused:
        branch = tag = None
    named = branch or tag
    if named is not None:
        warning = None
        if _HEX.fullmatch(name) and place.store.commits_beginning_with(name):
            kind = "branch" if branch is not None else "tag"
            warning = f"{name!r} is both a {kind} and the beginning of a commit id; the {kind} is meant"
        return Resolved(
            peeled(place.store, named.target), name if branch is not None else None, warning
        )
    if _HEX.fullmatch(name):
        found = place.store.commits_beginning_with(name)
        if len(found) == 1:
            return Resolved(found[0])
        if found:
            raise ambiguous(place.store, name, found)
    raise _not_found(place, name)


def _not_found(place: Place, name: str) -> RevisionNotFound:
    import difflib

    refs = place.store.refs
    names = [*refs.names("heads"), *refs.names("tags")]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    near += [n for n in names if name.casefold() in n.casefold() and n not in near][: 3 - len(near)]
    if near:
        return RevisionNotFound(name, near=tuple(near))
    hint = "there is no commit yet: `mstore commit DIR -m MESSAGE`"
    if names:
        hint = "there are: " + ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
    return RevisionNotFound(name, hint=hint)
