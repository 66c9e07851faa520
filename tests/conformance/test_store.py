"""A store over each backend: commit, check out, gc and fsck, whatever holds its bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.backend import Backend, LocalBackend, MemoryBackend
from mstore.context import Context
from mstore.errors import InvalidInput, NoStore, UsageError
from mstore.store import Store
from mstore.store.identity import create_identity
from tests.conftest import contents, write_model


def _local(folder: Path) -> Backend:
    Store.create(folder / "store")
    return LocalBackend(folder / "store")


def _memory(folder: Path) -> Backend:
    backend = MemoryBackend()
    create_identity(backend)
    return backend


@pytest.fixture(params=[_local, _memory], ids=["local", "memory"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    make: Callable[[Path], Backend] = request.param
    return make(tmp_path)


def test_commit_checkout_gc_and_fsck(backend: Backend, tmp_path: Path) -> None:
    with Repository(Context(Store(backend), None, "Ada <ada@example.org>")) as repo:
        for seed in range(3):
            write_model(tmp_path / "out", seed=seed)
            repo.commit(tmp_path / "out", message=str(seed), branch="main")
        first = repo.log("main")[-1].id
        repo.checkout("main", to=tmp_path / "new")
        assert contents(tmp_path / "new") == contents(tmp_path / "out")
        repo.make_branch("kept", first)
        repo.delete_branch("main")
        assert repo.fsck().ok
        plan = repo.plan_gc(now=True)
        assert len(plan.commits) == 2 and plan.freed_bytes > 0
        done = repo.gc(plan)
        assert done.freed_bytes > 0
        assert repo.fsck().ok and [e.id for e in repo.log("kept")] == [first]
        repo.repack()
        assert repo.fsck().ok
        write_model(tmp_path / "out", seed=0)
        repo.checkout(first, to=tmp_path / "again")
        assert contents(tmp_path / "again") == contents(tmp_path / "out")
    # Another store over the same backend finds it all.
    again = Repository(Context(Store(backend), None, "Bo <bo@example.org>"))
    assert again.resolve("kept") == first and again.read_file("kept", "config.json")
    assert again.plan_forget("training-state").commits == ()
    again.close()


def test_a_backend_without_a_store() -> None:
    with pytest.raises(NoStore, match="no store at memory"):
        Store(MemoryBackend())
    backend = MemoryBackend()
    create_identity(backend)
    with pytest.raises(InvalidInput, match="is a store already"):
        create_identity(backend)


def test_a_store_in_memory_lies_in_no_folder() -> None:
    store = Store(_memory(Path()))
    assert store.folders == () and store.location == "memory"
    with pytest.raises(UsageError, match="not in a folder"):
        store.path  # noqa: B018


def test_a_folder_as_in_0_2(tmp_path: Path) -> None:
    Store.create(tmp_path / "store")
    with pytest.warns(DeprecationWarning, match=r"Store\.at"):
        store = Store(tmp_path / "store", catalog_path=lambda id: tmp_path / "catalog.sqlite")
    assert store.path == tmp_path / "store"
    store.refresh()
    assert (tmp_path / "catalog.sqlite").exists()
    store.close()


def test_nothing_above_the_backend_knows_a_local_one() -> None:
    code = Path(mstore.__file__).parent
    naming, asking = set(), set()
    for path in code.rglob("*.py"):
        text, name = path.read_text(), str(path.relative_to(code))
        if "LocalBackend" in text:
            naming.add(name)
        if "store.path" in text or ("backend.path" in text and path.parent.name != "backend"):
            asking.add(name)
    assert naming == {"backend/__init__.py", "backend/local.py", "store/local.py"}
    assert asking == set()
