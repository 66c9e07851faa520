"""Make and find repositories: `mstore.init` and `mstore.open`.

Reads no environment variable; the command line hands in their values.
"""

from __future__ import annotations

from pathlib import Path

from mstore.api.repository import Repository
from mstore.api.stores import open_store
from mstore.context import Context
from mstore.errors import InvalidInput, NoStore, StorageFailed, UsageError
from mstore.fs.locks import locks_work
from mstore.store import STORE_FILE, Store
from mstore.workspace import FOLDER, USER_CACHE, Workspace


def init(
    path: str | Path = ".",
    *,
    store: str | Path | None = None,
    shared: bool = False,
    model_dir: str | Path | None = None,
    force: bool = False,
) -> Repository:
    """Make a workspace, and a store where there is none yet.

    Args:
        path: the folder that gets a `.mstore`.
        store: a store elsewhere, made if absent; None: inside `.mstore`.
        shared: a new store's files are group-writable.
        model_dir: the model directory; None: the first folder committed.
        force: make it even in a folder that looks like a model directory.

    Raises:
        InvalidInput: there is a workspace, or `path` looks like a model directory.
        StorageFailed: the system failed.
    """
    root = Path(path).absolute()
    folder = root / FOLDER
    if not force and root.is_dir() and _looks_like_model(root):
        raise InvalidInput(
            str(root),
            "looks like a model directory, which training scripts delete and recreate",
            hint="make the store in the folder above it, or use --force",
        )
    if (folder / "workspace.json").exists():
        raise InvalidInput(str(folder), "is a workspace already")
    where = Path(store).absolute() if store is not None else folder / "store"
    if not (where / STORE_FILE).exists():
        Store.create(where, shared=shared)
    if not locks_work(where / "tmp"):
        raise StorageFailed(
            f"{where} lies where kernel locks do not work: two commands would not see each other",
            hint="put the store on another disk: `mstore init --store DIR`",
        )
    Workspace.create(folder, store=where, model_dir=Path(model_dir) if model_dir is not None else None)
    return open(workspace=folder)


def _looks_like_model(folder: Path) -> bool:
    names = {p.name for p in folder.iterdir()}
    return bool(
        names
        & {"adapter_config.json", "config.json", "trainer_state.json", "model.safetensors.index.json"}
    ) or any(n.endswith(".safetensors") for n in names)


def open(
    path: str | Path | None = None,
    *,
    store: str | Path | None = None,
    workspace: str | Path | None = None,
    cache: str | Path | None = None,
    author: str | None = None,
) -> Repository:
    """Open a repository.

    Args:
        path: where to look for a workspace, upward; default: the current folder.
        store: a store's folder: it alone is opened, without a workspace.
        workspace: a `.mstore` folder, or the folder that has one.
        cache: where `path` keeps folders, and where the catalog of a store without workspace lies.
        author: who acts; default: configuration, git's, the login.

    Raises:
        NoStore: nothing is there; says where it looked.
        Corrupt, Unsupported: it cannot be read.
    """
    if store is not None and workspace is not None:
        raise UsageError("name a store or a workspace, not both")
    if store is not None:
        keep = Path(cache) if cache is not None else USER_CACHE.expanduser()
        return Repository(Context(open_store(store, keep), None, author), cache=keep)
    if workspace is not None:
        found = Path(workspace).absolute()
        if not (found / "workspace.json").is_file() and (found / FOLDER / "workspace.json").is_file():
            found /= FOLDER
        if not (found / "workspace.json").is_file():
            raise NoStore(f"no workspace at {workspace}", hint="`mstore init` makes one")
    else:
        start = Path(path) if path is not None else Path.cwd()
        above = Workspace.find(start)
        if above is None:
            raise NoStore(
                f"no {FOLDER} in {start.absolute()} or any folder above it",
                hint="`mstore init` makes one here; --workspace DIR or --store DIR name one elsewhere",
            )
        found = above
    opened = Workspace(found)
    catalog = opened.cache_path / "catalog.sqlite"
    context = Context(Store.at(opened.store_path, catalog_path=lambda id: catalog), opened, author)
    return Repository(context, cache=Path(cache) if cache is not None else None)
