"""What a changed blob is stored as a delta of: the parent's, by name and by rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import mstore
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
