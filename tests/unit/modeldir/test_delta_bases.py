"""What a changed blob is stored as a delta of: the parent's, by name and by rows."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import mstore
from mstore.modeldir.delta_bases import DeltaBases
from mstore.objects import BlobId, Layout, Manifest, ManifestFile, Segment, TensorEntry, blob_id
from mstore.store import Store
from mstore.store.transaction import Transaction
from tests.conftest import save_tensors


def test_a_resized_embedding_costs_its_new_rows(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((8192, 128)).astype(np.float32)
    save_tensors(tmp_path / "out/model.safetensors", {"embed": rows})
    repo.commit(tmp_path / "out", message="before")
    before = repo.store.stored_bytes()
    more = np.concatenate([rows, rng.standard_normal((64, 128)).astype(np.float32)])
    save_tensors(tmp_path / "out/model.safetensors", {"embed": more})
    made = repo.commit(tmp_path / "out", message="after")
    assert repo.store.stored_bytes() - before < 64 * 128 * 4 + 4000
    assert (
        repo.read_file(made.id, "model.safetensors")
        == (tmp_path / "out/model.safetensors").read_bytes()
    )


def test_optimizer_state_is_no_delta(tmp_path: Path) -> None:
    """What a delta does not make smaller pays nothing for its base on reading."""
    repo = mstore.init(tmp_path)
    rng = np.random.default_rng(0)
    for version in range(2):
        state = rng.standard_normal(100_000).astype(np.float32) ** 2
        save_tensors(tmp_path / "out/model.safetensors", {"w": state})
        repo.commit(tmp_path / "out", message=f"{version}")
    assert all(f.head.base is None for n in repo.store.pack_names() for f in repo.store.footer(n))


def _known(store: Store, *versions: dict[str, dict[str, tuple[str, tuple[int, ...]]]]) -> DeltaBases:
    """Delta bases out of versions that are given as path → name → dtype and shape."""
    manifests = []
    with Transaction(store, threads=1) as transaction:
        for number, version in enumerate(versions):
            files = []
            for path, named in sorted(version.items()):
                begin, entries, segments = 0, [], []
                for name, (dtype, shape) in named.items():
                    end = begin + SIZES[dtype] * math.prod(shape)
                    entries.append(TensorEntry(name, dtype, shape, begin, end))
                    segments.append(Segment(_blob(number, path, name), 0, end - begin))
                    begin = end
                layout = Layout("safetensors", tuple(entries))
                transaction.put(layout)
                files.append(ManifestFile(path, "weights", begin, tuple(segments), layout.id))
            manifests.append(Manifest(tuple(files)))
        transaction.publish()
    return DeltaBases(store, manifests)


SIZES = {"F32": 4, "BF16": 2, "F16": 2}


def _blob(version: int, path: str, name: str) -> BlobId:
    return blob_id(f"{version} {path} {name}".encode())


def _tensor(name: str, dtype: str, *shape: int) -> TensorEntry:
    return TensorEntry(name, dtype, shape, 0, SIZES[dtype] * math.prod(shape))


def test_the_same_file_comes_first_then_any_then_the_next_version(store: Store) -> None:
    w = ("F32", (4, 3))
    bases = _known(store, {"a": {"w": w}, "b": {"w": w, "v": w}}, {"c": {"w": w, "u": w}})
    assert bases.find("b", _tensor("w", *(w[0], *w[1]))) == _blob(0, "b", "w")
    assert bases.find("new", _tensor("w", "F32", 4, 3)) == _blob(0, "a", "w")
    assert bases.find("new", _tensor("u", "F32", 4, 3)) == _blob(1, "c", "u")
    assert bases.find("a", _tensor("nowhere", "F32", 4, 3)) is None


@pytest.mark.parametrize(
    ("dtype", "shape", "suits"),
    [
        ("F32", (4, 3), True),
        ("F32", (9, 3), True),
        ("F32", (4, 5), False),
        ("F32", (12,), False),
        ("F32", (), False),
        ("BF16", (4, 3), True),
        ("F16", (4, 3), False),
    ],
)
def test_rows_may_be_more_or_less_and_only_bf16_and_f32_are_cast(
    store: Store, dtype: str, shape: tuple[int, ...], suits: bool
) -> None:
    bases = _known(store, {"a": {"w": ("F32", (4, 3))}})
    found = bases.find("a", _tensor("w", dtype, *shape))
    assert found == (_blob(0, "a", "w") if suits else None)


def test_a_base_of_another_shape_gives_way_to_one_further_off(store: Store) -> None:
    bases = _known(store, {"a": {"w": ("F32", (4, 5))}}, {"a": {"w": ("F32", (4, 3))}})
    assert bases.find("a", _tensor("w", "F32", 4, 3)) == _blob(1, "a", "w")
