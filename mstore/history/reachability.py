"""The objects that names need, down to the last blob, for commands that remove any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mstore.errors import Corrupt, MStoreError, NotFound
from mstore.objects import TRAINING_STATE, BlobId, CommitId, ManifestId, NoteId, ObjectId, TagId
from mstore.store import forgotten_roles, temporary_roots_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mstore.context import Context
    from mstore.store import Store

REF_NAMESPACES: Final = ("heads", "tags", "pins")
LOG_NAMESPACES: Final = ("heads", "tags", "refused")
_FSCK: Final = "`mstore fsck` names the damage; nothing was changed"


@dataclass(frozen=True, slots=True)
class Root:
    """An object that a name keeps, with all that it needs.

    Args:
        id: the object.
        why: the name.
        required: a missing object is an error; what only a reflog names may have been collected.
    """

    id: ObjectId
    why: str
    required: bool


def roots(context: Context, *, logged_since_ns: int | None) -> Iterator[Root]:
    """Give the temporary roots of running commands, refs, HEAD, and what reflogs name.

    Args:
        context: the store, and the workspace if there is one.
        logged_since_ns: moves before this instant (since 1970) keep nothing; None: no move does.

    Raises:
        Corrupt: a ref is damaged, so that the objects it keeps are unknown.
    """
    store = context.store
    # Temporary roots first: when a command has ended, the ref that it moved is read after.
    for id, _ in temporary_roots_of(store.backend):
        yield Root(id, "a running command", required=False)
    for namespace in REF_NAMESPACES:
        for name in store.refs.names(namespace):
            value = store.refs.read(f"{namespace}/{name}")
            if value is not None:
                yield Root(value.target, name, required=True)
    head = context.head
    if head is not None and head.commit is not None:
        yield Root(head.commit, "HEAD", required=True)
    if logged_since_ns is not None:
        yield from _logged(store, logged_since_ns)


def _logged(store: Store, since_ns: int) -> Iterator[Root]:
    """Give what reflogs name in moves since an instant, in ns since 1970."""
    for namespace in LOG_NAMESPACES:
        for name in store.refs.logged(namespace):
            for record in store.refs.log_even_unfinished(f"{namespace}/{name}"):
                if record.move.time.ns < since_ns:
                    continue
                for target in (record.new, record.old):
                    if target is not None:
                        yield Root(target, f"the reflog of {name}", required=False)


class Reachability:
    """All objects that some roots need; grows with each root.

    Args:
        store: where they lie.
        forgetting: roles of commits to be taken for forgotten, beside those that are.
    """

    def __init__(
        self, store: Store, forgetting: Mapping[CommitId, frozenset[str]] | None = None
    ) -> None:
        self._forgetting = forgetting or {}
        self.commits: set[CommitId] = set()
        self.objects: set[ObjectId] = set()
        self.training_state: set[BlobId] = set()
        self._store = store
        self._manifests: set[tuple[ManifestId, frozenset[str]]] = set()
        self._noted = {name for name in store.refs.names("notes") if len(name) == 64}

    def add(self, root: Root) -> None:
        """Take in a root and all that it needs.

        Raises:
            NotFound, Corrupt: something that it needs is missing or damaged.
        """
        waiting, found = [root.id], []
        while waiting:
            id = waiting.pop()
            if id in self.objects:
                continue
            try:
                found.append((id, self._needs(id, waiting)))
            except (NotFound, Corrupt) as error:
                if root.required:
                    error.hint = error.hint or f"needed by {root.why}; {_FSCK}"
                    raise
                if isinstance(error, Corrupt):
                    raise
                continue  # Removed before, when no name kept it.
            self.objects.add(id)
        for _, needs in found:
            self.objects |= needs

    def _needs(self, id: ObjectId, waiting: list[ObjectId]) -> set[ObjectId]:
        """Return objects that one needs directly; those to be asked in turn go to `waiting`."""
        store = self._store
        if isinstance(id, CommitId):
            commit = store.commit(id)
            waiting.extend(commit.parents)
            dropped = forgotten_roles(store, id) if id.hex in self._noted else frozenset()
            dropped |= self._forgetting.get(id, frozenset())
            needs = self._of_manifest(commit.manifest, dropped)
            if id.hex in self._noted:
                value = store.refs.read(f"notes/{id.hex}")
                if value is not None:
                    waiting.append(value.target)
            self.commits.add(id)
            return needs
        if isinstance(id, TagId):
            waiting.append(store.tag(id).target)
        elif isinstance(id, NoteId):
            previous = store.note(id).previous
            if previous is not None:
                waiting.append(previous)
        elif isinstance(id, ManifestId):
            return self._of_manifest(id, frozenset())
        elif not store.has(id):
            raise NotFound(f"{id.label} is not in the store")
        return set()

    def _of_manifest(self, id: ManifestId, dropped: frozenset[str]) -> set[ObjectId]:
        if (id, dropped) in self._manifests:
            return set()
        needs: set[ObjectId] = {id}
        for file in self._store.manifest(id).files:
            if file.role in dropped:
                continue
            needs |= file.objects
            if file.role == TRAINING_STATE:
                self.training_state |= {segment.blob for segment in file.segments}
        self._manifests.add((id, dropped))
        return needs


def reachability_of(
    context: Context,
    *,
    logged_since_ns: int | None,
    forgetting: Mapping[CommitId, frozenset[str]] | None = None,
) -> Reachability:
    """Find everything that is needed. See `roots` and `Reachability`.

    Raises:
        NotFound, Corrupt: the store lacks an object that a name needs: nothing may be removed.
    """
    reachable = Reachability(context.store, forgetting)
    for root in roots(context, logged_since_ns=logged_since_ns):
        reachable.add(root)
    return reachable


def check_complete(context: Context, id: CommitId) -> None:
    """Refuse a commit of which gc has removed parts: it is named by its id alone.

    Raises:
        NotFound: something is gone.
    """
    tips = {
        value.target for space in REF_NAMESPACES for value in context.store.refs.all(space).values()
    }
    if id in tips or id == context.head_commit():
        return
    reachable = Reachability(context.store)
    try:
        reachable.add(Root(id, "this version", required=True))
        gone = context.store.lacks((needed, 255) for needed in reachable.objects)
    except MStoreError as error:
        if isinstance(error, NotFound):
            raise NotFound(f"commit {id.short} is no longer whole: {error.message}") from error
        raise
    if gone:
        raise NotFound(
            f"commit {id.short} is no longer whole: gc removed {gone[0].label}",
            hint="no branch or tag kept it",
        )
