"""One side of a diff: a commit in a store, or a folder on a disk, which needs no store."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mstore.errors import RevisionNotFound, UsageError
from mstore.formats import describe
from mstore.history.query.resolve import resolved
from mstore.history.query.revision_grammar import Revision, names_folder, parse
from mstore.history.status import uncommitted_roles
from mstore.modeldir.read import read_folder
from mstore.modeldir.stored_tree import StoredFolder, layouts_of
from mstore.modeldir.visible import visible_manifest, what_is_forgotten
from mstore.objects import MODEL_ROLES, CommitId
from mstore.store import forgotten_roles, late_facts
from mstore.text import display_path
from mstore.worktree.scan import OpenFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mstore.context import Context
    from mstore.formats import Facts
    from mstore.history.query.resolve import AnyRevision
    from mstore.modeldir.digests import OpenRange, ReadRange
    from mstore.objects import Layout, Manifest


@dataclass(frozen=True)
class DiffSide:
    """One side of a diff.

    Args:
        label: how to call it: the revision or folder as it was typed.
        manifest: its files.
        layouts: by path, of weights and adapters at least.
        facts: its facts.
        open_file: opens one of its files by path.
        metadata: of the commit, notes included; a folder has none.
        metrics: of the commit, notes included; of a folder, its trainer_state.json's.
        without: roles that `commit --without` left out of it.
        forgotten: roles whose files `forget` dropped from it.
        is_folder: it is a folder, which has no metadata to compare.
        warnings: one sentence each.
    """

    label: str
    manifest: Manifest
    layouts: Mapping[str, Layout]
    facts: Facts
    open_file: OpenRange = field(repr=False)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    forgotten: frozenset[str] = frozenset()
    is_folder: bool = False
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.label


def parse_side(text: str) -> Path | Revision:
    """Parse the text for a side: a folder if it can be nothing else, else a revision.

    Raises:
        UsageError: it is no revision, and no folder has this name.
    """
    if names_folder(text):
        return Path(os.path.expanduser(text))
    try:
        return parse(text)
    except UsageError:
        if not os.path.isdir(text):
            raise
        return Path(text)


def side_of(context: Context | None, what: AnyRevision | Path | None) -> DiffSide:
    """Make a side of a folder or a revision.

    Args:
        context: where; None serves folders only.
        what: a revision in any form; a folder; text, which `parse_side` reads; None: the
            model directory. A revision that nothing has is a folder of this name, if any.

    Raises:
        UsageError: there is no model directory, or no place and a revision.
        RevisionNotFound, Ambiguous, NotFound, InvalidInput, Corrupt, Unsupported.
    """
    label = str(what) if isinstance(what, (str, Path, Revision)) else None
    if isinstance(what, str):
        what = parse_side(what)
    if isinstance(what, Path):
        return side_of_folder(context, what, label or str(what))
    if context is None:
        raise UsageError(
            "without a store only folders can be compared", hint="write ./NAME for a folder"
        )
    if what is None:
        folder = context.need_workspace("comparing with the model directory").unambiguous_model_dir()
        if folder is None:
            raise UsageError(
                "this workspace has no model directory yet", hint="name two versions or folders"
            )
        return side_of_folder(context, folder, display_path(folder))
    try:
        found = resolved(context, what)
    except RevisionNotFound:
        if not isinstance(what, Revision) or not os.path.isdir(str(what)):
            raise
        return side_of_folder(context, Path(str(what)), str(what))
    side = side_of_commit(context, found.id, label or found.id.short)
    if found.warning is None:
        return side
    return replace(side, warnings=(found.warning, *side.warnings))


def side_of_commit(context: Context, commit_id: CommitId, label: str) -> DiffSide:
    """Make a side of a commit. Raises NotFound, Corrupt, Unsupported."""
    store = context.store
    commit, late = store.commit(commit_id), late_facts(store, commit_id)
    manifest = visible_manifest(store, commit_id, commit)
    layouts = layouts_of(store, manifest, roles=MODEL_ROLES)
    folder = StoredFolder(store, manifest)
    facts = describe(folder, layouts)
    return DiffSide(
        label,
        manifest,
        layouts,
        facts,
        folder.open,
        {**commit.metadata, **late.metadata},
        {**commit.metrics, **late.metrics},
        uncommitted_roles(commit),
        forgotten_roles(store, commit_id),
        warnings=(*what_is_forgotten(store, commit_id, commit), *facts.warnings),
    )


def side_of_folder(context: Context | None, path: Path, label: str) -> DiffSide:
    """Make a side of a folder.

    Args:
        context: whose stat cache to use and whose store to leave out; None needs no store.
        path: the folder.
        label: how to call it.

    Raises:
        NotFound: there is no such folder.
        InvalidInput: it holds what cannot be read.
    """
    if context is None:
        tree = read_folder(path)
    else:
        tree = read_folder(
            path,
            cache=context.stat_cache,
            load_layout=context.store.layout,
            exclude=context.own_folders,
        )
    by_path = {f.path: f for f in tree.found.files}

    @contextmanager
    def open_file(name: str) -> Iterator[ReadRange]:
        with OpenFile(by_path[name]) as source:
            yield source.read

    facts = tree.facts()
    return DiffSide(
        label,
        tree.manifest,
        tree.layouts,
        facts,
        open_file,
        metrics=dict(facts.trainer.metrics) if facts.trainer is not None else {},
        is_folder=True,
        warnings=(*tree.warnings, *facts.warnings),
    )


__all__ = ["DiffSide", "parse_side", "side_of", "side_of_commit", "side_of_folder"]
