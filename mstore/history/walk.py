"""Walks from versions to their parents."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from mstore.context import peeled
from mstore.errors import Corrupt
from mstore.objects import Commit, CommitId

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mstore.context import Context
    from mstore.store import Store


def walk(store: Store, tips: Iterable[CommitId]) -> Iterator[tuple[CommitId, Commit]]:
    """Walk commits reachable from some, the latest first, no parent before the child that led to it.

    Times are only a hint (clocks are wrong): a commit that claims to be younger
    than the child through which it was met is taken to be as old. Iterative, so that a history of a
    million commits is no deeper than one of two.

    Raises:
        NotFound: a parent is missing.
        Corrupt: a commit is damaged.
    """
    heap: list[tuple[int, bytes]] = []
    known: dict[CommitId, Commit] = {}
    given: set[CommitId] = set()
    for tip in tips:
        if tip not in known:
            known[tip] = store.commit(tip)
            heapq.heappush(heap, (-known[tip].time.ns, tip.raw))
    while heap:
        _, raw = heapq.heappop(heap)
        id = CommitId(raw)
        commit = known.pop(id)
        given.add(id)
        yield id, commit
        for parent in commit.parents:
            if parent in given or parent in known:
                continue
            value = store.commit(parent)
            known[parent] = value
            # A parent never comes before its child, whatever its clock said.
            heapq.heappush(heap, (-min(value.time.ns, commit.time.ns - 1), parent.raw))


def all_tips(context: Context) -> list[CommitId]:
    """Give commits that branches, tags and HEAD point to."""
    tips: dict[CommitId, None] = {}
    refs = context.store.refs
    for namespace in ("heads", "tags"):
        for value in refs.all(namespace).values():
            tips[peeled(context.store, value.target)] = None
    try:
        at = context.head_commit()
    except Corrupt:
        at = None
    if at is not None:
        tips[at] = None
    return list(tips)
