"""A checkout in place takes what the folder holds from there, and hashes every byte of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mstore
from mstore.api.repository import Repository
from mstore.objects import BlobId, blob_id
from mstore.store import Store
from tests.conftest import contents, save_tensors

LAYERS = 5


def _layer(number: int, version: int) -> np.ndarray[Any, Any]:
    seed = 100 * number + (version if number == LAYERS - 1 else 0)
    return np.random.default_rng(seed).standard_normal(40_000).astype(np.float32)


def _save(folder: Path, version: int) -> dict[str, bytes]:
    tensors = {f"layer.{i}": _layer(i, version) for i in range(LAYERS)}
    save_tensors(folder / "model.safetensors", {**tensors, "scale": np.array(version, np.float32)})
    return contents(folder)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Repository, dict[str, bytes], dict[str, bytes]]:
    """Two versions that differ in their last layer; the folder holds the second."""
    repo = mstore.init(tmp_path)
    first = _save(tmp_path / "out", 0)
    repo.commit(tmp_path / "out", message="one")
    second = _save(tmp_path / "out", 1)
    repo.commit(tmp_path / "out", message="two")
    return repo, first, second


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[BlobId]:
    """Blobs that are decoded from the store."""
    found: list[BlobId] = []
    right = Store.stream

    def stream(self: Store, id: Any) -> Any:
        found.append(id)
        return right(self, id)

    monkeypatch.setattr(Store, "stream", stream)
    return found


def _ids(version: int) -> list[BlobId]:
    return [blob_id(_layer(i, version).tobytes()) for i in range(LAYERS)]


def _check(repo: Repository, tmp_path: Path, first: dict[str, bytes], second: dict[str, bytes]) -> None:
    repo.checkout("HEAD~1")
    assert contents(tmp_path / "out") == first
    repo.checkout("main")
    assert contents(tmp_path / "out") == second


def test_only_what_differs_is_decoded(two: Any, decoded: list[BlobId], tmp_path: Path) -> None:
    repo, first, second = two
    repo.checkout("HEAD~1")
    assert contents(tmp_path / "out") == first
    assert set(_ids(0)) & set(decoded) == {_ids(0)[-1]}
    decoded.clear()
    repo.checkout("main")
    assert contents(tmp_path / "out") == second
    assert set(_ids(1)) & set(decoded) == {_ids(1)[-1]}


@pytest.mark.parametrize("how", ["absent", "refused", "halves"])
def test_where_the_kernel_does_not_copy(
    two: Any, decoded: list[BlobId], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    right = os.copy_file_range

    def refused(*_: Any) -> int:
        raise OSError(18, "Invalid cross-device link")

    def halves(source: int, target: int, count: int, *offsets: int) -> int:
        return right(source, target, max(1, count // 2), *offsets)

    if how == "absent":
        monkeypatch.delattr(os, "copy_file_range")
    else:
        monkeypatch.setattr(os, "copy_file_range", refused if how == "refused" else halves)
    repo, first, second = two
    _check(repo, tmp_path, first, second)
    assert not set(_ids(0)[:-1]) & set(decoded)


@pytest.mark.parametrize("how", ["wrong", "short"])
def test_what_does_not_hash_is_decoded(
    two: Any, decoded: list[BlobId], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Say the file changed after it was looked at."""

    def wrong(source: int, target: int, count: int, from_: int, to: int) -> int:
        return os.pwrite(target, bytes(count), to)

    monkeypatch.setattr(os, "copy_file_range", wrong if how == "wrong" else lambda *_: 0)
    repo, first, second = two
    _check(repo, tmp_path, first, second)
    assert set(_ids(0)) <= set(decoded)


def test_a_blob_that_lies_in_two_places(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    tied, other = _layer(0, 0), _layer(1, 0)
    save_tensors(
        tmp_path / "out/model.safetensors", {"a": tied, "b": other, "x": np.array(1, np.float32)}
    )
    repo.commit(tmp_path / "out", message="one")
    first = contents(tmp_path / "out")
    save_tensors(tmp_path / "out/model.safetensors", {"b": tied, "c": tied, "d": other})
    repo.commit(tmp_path / "out", message="two")
    second = contents(tmp_path / "out")
    _check(repo, tmp_path, first, second)
