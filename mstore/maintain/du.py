"""du: what versions take in a store, and why.

A version's blobs are sorted into groups (a tensor's name with its numbers
folded, or a file's role), and each group's bytes into what its parent has, what
is a delta, and what is stored whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mstore.compat import renamed_field
from mstore.history.walk import all_tips, walk
from mstore.objects import MODEL_ROLES, tensor_blobs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mstore.context import Context
    from mstore.objects import BlobId, CommitId, Layout, LayoutId, Manifest, ManifestFile
    from mstore.store import Store

_NUMBER: Final = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class BlobUsage:
    """A blob's raw bytes, what its smallest copy takes, and whether that is a delta."""

    raw_size: int
    stored_size: int
    is_delta: bool


@dataclass(frozen=True, kw_only=True)
class GroupUsage:
    """Bytes of a group of tensors or files in one version.

    Args:
        name: tensor names with `*` for numbers, or a role.
        raw_bytes: bytes of the group.
        shared_bytes: raw bytes that the parent has.
        new_bytes: raw bytes that it lacks.
        stored_bytes: the size of the new ones in the store.
        delta_bytes: stored bytes that are deltas.
    """

    name: str
    raw_bytes: int = 0
    shared_bytes: int = 0
    new_bytes: int = 0
    stored_bytes: int = 0
    delta_bytes: int = 0

    def plus(self, raw: int, stored: BlobUsage, shared: bool) -> GroupUsage:
        """Return the group with one more blob, of which `raw` bytes are in the version."""
        return GroupUsage(
            name=self.name,
            raw_bytes=self.raw_bytes + raw,
            shared_bytes=self.shared_bytes + raw * shared,
            new_bytes=self.new_bytes + raw * (not shared),
            stored_bytes=self.stored_bytes + stored.stored_size * (not shared),
            delta_bytes=self.delta_bytes + stored.stored_size * (not shared and stored.is_delta),
        )


@dataclass(frozen=True, kw_only=True)
class CommitUsage:
    """The cost of a version, by group.

    Args:
        id: the commit.
        message: its first line.
        groups: the largest first.
        total: all groups together.
        freed_bytes: stored bytes of blobs that no other version has and no delta needs.
        protected_bytes: stored bytes that only this version has, and deltas of others need.
    """

    id: CommitId
    message: str
    groups: tuple[GroupUsage, ...]
    total: GroupUsage
    freed_bytes: int
    protected_bytes: int

    leant_on_bytes = renamed_field("leant_on_bytes", "protected_bytes")


@dataclass(frozen=True, kw_only=True)
class Usage:
    """The contents of a store.

    Args:
        commits: the versions asked for.
        versions: versions that names reach.
        raw_bytes: bytes of all of them, as folders.
        pack_bytes: bytes of all packs.
    """

    commits: tuple[CommitUsage, ...]
    versions: int
    raw_bytes: int
    pack_bytes: int


class _Measured:
    """The sizes of blobs on the disk, each looked up once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._blobs: dict[BlobId, BlobUsage] = {}
        self._layouts: dict[LayoutId, Layout] = {}

    def blob(self, id: BlobId) -> BlobUsage:
        known = self._blobs.get(id)
        if known is None:
            copies = [
                BlobUsage(f.head.raw_size, f.stored_size, f.head.base is not None)
                for f in (reader.frame for reader in self._store.copies(id, known_only=True))
            ]
            known = min(copies, key=lambda c: c.stored_size, default=BlobUsage(0, 0, False))
            self._blobs[id] = known
        return known

    def names(self, file: ManifestFile) -> dict[BlobId, str]:
        """Return the group of each blob that is one tensor of a model."""
        if file.layout is None or file.role not in MODEL_ROLES:
            return {}
        layout = self._layouts.get(file.layout)
        if layout is None:
            layout = self._layouts[file.layout] = self._store.layout(file.layout)
        found = tensor_blobs(file, layout)
        return {blob: _NUMBER.sub("*", layout.tensors[i].name) for i, blob in found.items()}


def du(context: Context, ids: Iterable[CommitId] = ()) -> Usage:
    """Measure versions, and the store.

    Args:
        context: the store, and the workspace if there is one.
        ids: the versions to explain; the store alone where there are none.

    Raises:
        NotFound, Corrupt.
    """
    store = context.store
    store.refresh()
    measured = _Measured(store)
    wanted = list(ids)
    manifests: dict[CommitId, Manifest] = {}
    for id, commit in walk(store, [*all_tips(context), *wanted]):
        manifests[id] = store.manifest(commit.manifest)
    base_users = _delta_bases(store) if wanted else {}
    commits = [_commit(store, id, manifests, measured, base_users) for id in dict.fromkeys(wanted)]
    return Usage(
        commits=tuple(commits),
        versions=len(manifests),
        raw_bytes=sum(m.size_bytes for m in manifests.values()),
        pack_bytes=store.stored_bytes(),
    )


def _blobs(manifest: Manifest) -> set[BlobId]:
    return {s.blob for f in manifest.files for s in f.segments}


def _delta_bases(store: Store) -> dict[Any, set[Any]]:
    """Find the objects that need each delta base."""
    found: dict[Any, set[Any]] = {}
    for name in store.pack_names():
        for frame in store.footer(name):
            if frame.head.base is not None:
                found.setdefault(frame.head.base, set()).add(frame.head.id)
    return found


def _commit(
    store: Store,
    id: CommitId,
    manifests: dict[CommitId, Manifest],
    measured: _Measured,
    base_users: dict[Any, set[Any]],
) -> CommitUsage:
    commit, manifest = store.commit(id), manifests[id]
    of_parent: set[BlobId] = set()
    for parent in commit.parents[:1]:
        of_parent = _blobs(manifests.get(parent) or store.manifest(store.commit(parent).manifest))
    groups: dict[str, GroupUsage] = {}
    total = GroupUsage(name="all")
    seen: set[BlobId] = set()
    for file in manifest.files:
        names = measured.names(file)
        raw_of: dict[BlobId, int] = {}
        for segment in file.segments:
            raw_of[segment.blob] = raw_of.get(segment.blob, 0) + segment.length
        for blob, raw in raw_of.items():
            # A blob that a version has twice is stored once.
            shared = blob in of_parent or blob in seen
            seen.add(blob)
            name = names.get(blob, file.role)
            stored = measured.blob(blob)
            groups[name] = groups.get(name, GroupUsage(name=name)).plus(raw, stored, shared)
            total = total.plus(raw, stored, shared)
    elsewhere: set[BlobId] = set()
    for other, held in manifests.items():
        if other != id:
            elsewhere |= _blobs(held)
    own = _blobs(manifest) - elsewhere
    needed = {blob for blob in own if base_users.get(blob, set()) - own}
    return CommitUsage(
        id=id,
        message=commit.message.partition("\n")[0],
        groups=tuple(sorted(groups.values(), key=lambda g: (-g.stored_bytes, -g.raw_bytes, g.name))),
        total=total,
        freed_bytes=sum(measured.blob(b).stored_size for b in own - needed),
        protected_bytes=sum(measured.blob(b).stored_size for b in needed),
    )
