"""Versions that drift like training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import mstore
from mstore.api.repository import Repository
from tests.conftest import contents, save_tensors


def drifting(
    root: Path, versions: int = 5, size: int = 200_000
) -> tuple[Repository, list[dict[str, bytes]]]:
    """Versions that drift like training: each near the one before."""
    repo = mstore.init(root)
    rng = np.random.default_rng(0)
    weight = rng.standard_normal(size).astype(np.float32)
    kept = []
    for version in range(versions):
        save_tensors(
            root / "out/model.safetensors", {"w": weight, "fixed": np.arange(5000, dtype=np.int64)}
        )
        repo.commit(root / "out", message=f"v{version}")
        kept.append(contents(root / "out"))
        weight = weight * (1 + rng.standard_normal(size).astype(np.float32) * 1e-4)
    return repo, kept
