"""Checking history from its tips: commits, manifests, and whether the objects they need exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mstore.errors import MStoreError
from mstore.maintain.findings import Findings, Problem
from mstore.store import forgotten_roles
from mstore.worktree.destination import check_paths

if TYPE_CHECKING:
    from mstore.objects import CommitId, LayoutId, Manifest, ObjectId
    from mstore.store import Store


def check_commits(store: Store, tips: list[tuple[CommitId, str]], findings: Findings) -> int:
    """Walk all history once, and check what each version needs.

    Args:
        store: the store.
        tips: where the walk begins, each with the name that points there.
        findings: gets the problems.

    Returns:
        The number of commits.
    """
    seen: set[CommitId] = set()
    manifests: set[Any] = set()
    affected: dict[ObjectId, list[str]] = {}
    waiting = list(tips)
    while waiting:
        id, needed_by = waiting.pop()
        if id in seen:
            continue
        seen.add(id)
        try:
            commit = store.commit(id)
        except (MStoreError, KeyError) as error:
            findings.lost.add(id)
            findings.problem(f"commit {id.short}", f"{_said(error)} (needed by {needed_by})")
            continue
        waiting += [(parent, f"commit {id.short}") for parent in commit.parents]
        try:
            dropped = forgotten_roles(store, id)
        except MStoreError:  # Named with the notes' ref.
            dropped = frozenset()
        if (commit.manifest, dropped) in manifests:
            continue
        manifests.add((commit.manifest, dropped))
        try:
            manifest = store.manifest(commit.manifest)
            check_paths(manifest.files)
        except (MStoreError, KeyError) as error:
            findings.lost.add(commit.manifest)
            findings.problem(
                f"manifest {commit.manifest.short}", f"{_said(error)} (of commit {id.short})"
            )
            continue
        _check_manifest(store, id, manifest, dropped, findings, affected)
    # Each damaged or missing object once, with what needs it.
    findings.lost |= affected.keys()
    for object, uses in affected.items():
        what = findings.bad.get(object) or "is in no readable pack"
        named = tuple(uses[:20]) + ((f"and {len(uses) - 20} more",) if len(uses) > 20 else ())
        findings.problems.append(Problem(object.label, what, named))
    return len(seen)


def _said(error: BaseException) -> str:
    return error.message if isinstance(error, MStoreError) else "is missing"


def _check_manifest(
    store: Store,
    id: CommitId,
    manifest: Manifest,
    dropped: frozenset[str],
    findings: Findings,
    affected: dict[ObjectId, list[str]],
) -> None:
    for file in manifest.files:
        if file.role in dropped:
            continue
        position = 0
        tensors: dict[int, str] = {}
        if file.layout is not None:
            try:
                tensors = _tensors(store, findings, file.layout)
            except (MStoreError, KeyError):
                affected.setdefault(file.layout, []).append(f"{id.short}:{file.path}")
        for segment in file.segments:
            if not _is_readable(store, findings, segment.blob):
                tensor = f" tensor {tensors[position]!r}" if position in tensors else ""
                affected.setdefault(segment.blob, []).append(f"{id.short}:{file.path}{tensor}")
            elif segment.offset + segment.length > (store.size_of(segment.blob) or 0):
                findings.problem(
                    f"manifest {manifest.id.short}",
                    f"{file.path} needs bytes beyond the end of blob {segment.blob.short}"
                    f" (of commit {id.short})",
                )
            position += segment.length


def _tensors(store: Store, findings: Findings, id: LayoutId) -> dict[int, str]:
    """Read a layout, and return the names of its tensors by where they begin.

    Raises:
        MStoreError, KeyError: it cannot be read, though its bytes may be those that were stored.
    """
    if not _is_readable(store, findings, id):
        raise KeyError(id)
    try:
        return {t.begin: t.name for t in store.layout(id).tensors}
    except MStoreError as error:
        findings.good.discard(id)
        findings.bad[id] = error.message
        raise


def _is_readable(store: Store, findings: Findings, id: ObjectId) -> bool:
    if id in findings.good:
        return True
    if id in findings.bad:
        return False
    if not store.has(id):
        store.undelete(lambda other: other == id)
    return store.has(id)
