"""The write protocol, counted and in order: what is synced, when, and how often."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mstore
from mstore.api.repository import Repository
from mstore.errors import StorageFailed
from mstore.store import transaction
from tests.conftest import save_tensors

MOST_A_COMMIT = 8
FOR_A_FURTHER_PACK = 2


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every fsync from here on: `file` or `folder`, and the path."""
    calls: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        calls.append(f"{kind} {os.readlink(f'/proc/self/fd/{descriptor}')}")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return calls


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    made = mstore.init(tmp_path, model_dir=tmp_path / "out")
    assert made.workspace is not None
    made.workspace.set_config("author", "Ada")
    return made


def _save(folder: Path, tensors: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    save_tensors(
        folder / "model.safetensors",
        {f"layer.{i}": rng.standard_normal(1100).astype(np.float32) for i in range(tensors)},
    )


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="tells paths of descriptors by /proc")
@pytest.mark.parametrize("tensors", [1, 30, 600])
def test_syncs_of_a_commit(repo: Repository, tmp_path: Path, synced: list[str], tensors: int) -> None:
    """At most eight, whatever the number of tensors: as many for 600 as for one."""
    counts = []
    for seed in range(3):
        _save(tmp_path / "out", tensors, seed)
        synced.clear()
        assert repo.commit(message=str(seed)).created
        counts.append(len(synced))
    assert max(counts[1:]) <= MOST_A_COMMIT, synced
    # The first one also makes the folders of its branch's reflog.
    assert counts[0] <= MOST_A_COMMIT + 2
    assert counts[1] == counts[2] == 6, synced


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="tells paths of descriptors by /proc")
def test_two_more_syncs_for_a_further_pack(
    repo: Repository, tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _save(tmp_path / "out", 40, 0)
    repo.commit(message="first")
    _save(tmp_path / "out", 40, 1)
    synced.clear()
    repo.commit(message="one pack")
    one, packs = len(synced), len(repo.store.pack_names())
    monkeypatch.setattr(transaction, "PACK_CAP_BYTES", 20_000)
    _save(tmp_path / "out", 40, 2)
    (tmp_path / "out/optimizer.pt").write_bytes(os.urandom(5000))
    synced.clear()
    repo.commit(message="many packs")
    further = len(repo.store.pack_names()) - packs - 1
    assert further >= 4
    assert len(synced) == one + FOR_A_FURTHER_PACK * further


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="tells paths of descriptors by /proc")
def test_order_of_syncs(repo: Repository, tmp_path: Path, synced: list[str]) -> None:
    """Pack and its folder, then the record and its folder, then the ref and its folder."""
    _save(tmp_path / "out", 3, 0)
    repo.commit(message="first")
    _save(tmp_path / "out", 3, 1)
    synced.clear()
    repo.commit(message="second")
    store = f"{repo.store.path}/"
    places = [call.replace(store, "").split("/")[0] for call in synced]
    assert places == ["file tmp", "folder packs", "file tmp", "folder logs", "file tmp", "folder refs"]


Failing = Callable[[int], Any]


@pytest.mark.parametrize("which", range(6))
def test_a_sync_that_fails_is_never_tried_again(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    """Bad input 66: after a failed fsync the kernel may have dropped the pages."""
    _save(tmp_path / "out", 3, 0)
    first = repo.commit(message="first").id
    _save(tmp_path / "out", 3, 1)
    real, calls = os.fsync, []
    failed: set[tuple[int, int]] = set()

    def fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        assert (status.st_dev, status.st_ino) not in failed or stat.S_ISDIR(status.st_mode)
        calls.append(descriptor)
        if len(calls) == which + 1:
            failed.add((status.st_dev, status.st_ino))
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageFailed, match="Input/output error"):
        repo.commit(message="second")
    monkeypatch.setattr(os, "fsync", real)
    tip = repo.resolve("main")
    # The last sync comes when the ref has moved: then, and only then, it has.
    assert (tip == first) == (which < 5)
    repo.commit(message="second", allow_empty=which == 5)
    assert repo.fsck().ok


def test_init_syncs_its_folders_before_store_json_makes_it_a_store(
    tmp_path: Path, synced: list[str]
) -> None:
    """Packs are later synced in their folders, which must not be lost themselves."""
    store = tmp_path / "store"
    mstore.init(tmp_path / "work", store=store).close()
    before = synced[: next(n for n, call in enumerate(synced) if call.startswith(f"file {store}/"))]
    for folder in ("packs", "refs", "locks"):
        assert f"folder {store / folder}" in before
