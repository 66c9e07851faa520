"""Find the model that a version starts from: named by the user, or by the directory itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mstore.errors import MStoreError
from mstore.formats.facts.describe import adapter_of
from mstore.modeldir.read import folder_weights, read_folder
from mstore.objects import MODEL_ROLES, ROLES, Base, CommitId, WeightsId

if TYPE_CHECKING:
    from mstore.context import Context
    from mstore.formats import Facts
    from mstore.store import Store


def base_of_version(store: Store, id: CommitId) -> Base:
    """Describe a version of the store as a base. Raises NotFound, Corrupt."""
    commit = store.commit(id)
    recorded = commit.metadata.get("recorded")
    model = recorded.get("model", {}) if isinstance(recorded, dict) else {}
    name = model.get("base_name") if isinstance(model, dict) else None
    return Base(commit.weights.get(""), id, name if isinstance(name, str) else None)


def find_base(store: Store, base: Base) -> CommitId | None:
    """Find the commit that holds a base: the one recorded, else any whose weights are the same."""
    if base.commit is not None and store.has(base.commit):
        return base.commit
    if base.weights is None:
        return None
    store.refresh()
    return next(iter(store.catalog.with_weights(base.weights)), None)


def base_of_facts(context: Context, facts: Facts, folder: Path) -> Base | None:
    """Return the base that the directory names; its identity where it lies on this machine."""
    adapter = adapter_of(facts)
    if adapter is not None:
        name, revision = adapter.base_name, adapter.base_revision
    elif facts.model is not None:
        name, revision = facts.model.base_name, facts.model.base_revision
    else:
        return None
    if not name:
        return None
    weights = _weights_at(context, Path(name), folder)
    if weights is None:
        return Base(None, None, name, revision)
    commits = context.store.catalog.with_weights(weights)
    return Base(weights, commits[0] if commits else None, name, revision)


def _weights_at(context: Context, path: Path, folder: Path) -> WeightsId | None:
    try:
        if not path.is_dir() or path.resolve().is_relative_to(folder.resolve()):
            return None
        if context.workspace is None:
            return folder_weights(path).get("")
        tree = read_folder(
            path,
            cache=context.workspace.stat_cache,
            load_layout=context.store.layout,
            without=frozenset(set(ROLES) - set(MODEL_ROLES)),
        )
        return tree.weights().get("")
    except (MStoreError, OSError):
        return None
