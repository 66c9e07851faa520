"""Tensors of a version: names, bytes, rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mstore
from mstore.api.repository import Repository
from mstore.errors import NotFound, UsageError
from mstore.history.tensors import fill_tensors, read_tensor, tensors
from mstore.objects import CommitId
from tests.conftest import save_tensors


def test_rows_of_a_tensor_read_only_their_blocks(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    rows = np.arange(4096 * 1024, dtype=np.float32).reshape(4096, 1024)
    save_tensors(tmp_path / "out/model.safetensors", {"embed": rows})
    repo.commit(tmp_path / "out", message="x")
    blocks: list[str] = []
    repo.store.backend.observe = lambda call, key: blocks.append(call)  # type: ignore[attr-defined]
    part = repo.read_tensor("HEAD", "embed", rows=(300, 310))
    assert part.shape == (10, 1024) and bytes(part.buffer) == rows[300:310].tobytes()
    # The tail of the pack, the manifest, the layout, and one block (or two) of sixteen.
    assert blocks.count("read") <= 8
    with pytest.raises(mstore.errors.UsageError, match="no rows"):
        repo.read_tensor("HEAD", "embed", rows=(4000, 5000))


@pytest.fixture
def version(tmp_path: Path) -> tuple[Repository, CommitId, dict[str, np.ndarray[Any, Any]]]:
    """A model of three tensors."""
    repo = mstore.init(tmp_path)
    saved: dict[str, np.ndarray[Any, Any]] = {
        "w": np.arange(12, dtype=np.float32).reshape(4, 3),
        "none": np.zeros((0, 5), np.float16),
        "scale": np.array(2.0, np.float64),
    }
    save_tensors(tmp_path / "out/model.safetensors", saved)
    return repo, repo.commit(tmp_path / "out").id, saved


def test_tensors_are_listed_with_their_files(version: Any) -> None:
    repo, id, saved = version
    found = [t for t in tensors(repo.context, id) if t.path == "model.safetensors"]
    assert {t.name: (t.shape, t.size_bytes) for t in found} == {
        name: (array.shape, array.nbytes) for name, array in saved.items()
    }
    assert {t.dtype for t in found} == {"F32", "F16", "F64"} and {t.role for t in found} == {"weights"}


def test_a_tensor_is_its_bytes_and_rows_are_theirs(version: Any) -> None:
    repo, id, saved = version
    for name, array in saved.items():
        got = read_tensor(repo.context, id, name)
        assert (got.shape, bytes(got.buffer)) == (array.shape, array.tobytes())
    part = read_tensor(repo.context, id, "w", rows=(1, 3))
    assert part.shape == (2, 3) and bytes(part.buffer) == saved["w"][1:3].tobytes()
    assert read_tensor(repo.context, id, "w", rows=(4, 4)).shape == (0, 3)
    assert read_tensor(repo.context, id, "none", rows=(0, 0)).shape == (0, 5)
    assert repr(part) == "Tensor(F32, [2, 3], 24 bytes)"


@pytest.mark.parametrize(
    ("name", "rows"), [("w", (3, 5)), ("w", (-1, 1)), ("w", (2, 1)), ("scale", (0, 1))]
)
def test_rows_that_are_not_there_are_refused(version: Any, name: str, rows: tuple[int, int]) -> None:
    repo, id, _ = version
    with pytest.raises(UsageError, match="has no rows"):
        read_tensor(repo.context, id, name, rows=rows)


def test_a_name_that_is_not_there_or_that_several_have(version: Any, tmp_path: Path) -> None:
    repo, id, _ = version
    with pytest.raises(NotFound, match="no tensor 'scales'") as met:
        read_tensor(repo.context, id, "scales")
    assert met.value.hint == "near it: scale"
    save_tensors(tmp_path / "out/more.safetensors", {"scale": np.array(3.0, np.float64)})
    both = repo.commit(tmp_path / "out").id
    with pytest.raises(UsageError, match="2 files have a tensor 'scale'") as several:
        read_tensor(repo.context, both, "scale")
    assert several.value.hint == "name one: model.safetensors, more.safetensors"
    got = read_tensor(repo.context, both, "scale", path="more.safetensors")
    assert bytes(got.buffer) == np.array(3.0, np.float64).tobytes()


def test_tensors_are_decoded_into_the_callers_memory(version: Any) -> None:
    repo, id, saved = version
    refs = [t for t in tensors(repo.context, id) if t.path == "model.safetensors"]
    memory = [bytearray(ref.size_bytes) for ref in refs]
    fill_tensors(
        repo.context, id, [(r, memoryview(m)) for r, m in zip(refs, memory, strict=True)], threads=2
    )
    assert [bytes(m) for m in memory] == [saved[r.name].tobytes() for r in refs]
