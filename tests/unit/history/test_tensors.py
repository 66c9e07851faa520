"""Tensors of a version: names, bytes, rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mstore
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
