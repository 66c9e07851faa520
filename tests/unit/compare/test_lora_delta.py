"""What adapters do, against the matrices that it spares."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mstore
from mstore.compare.lora_delta import Factors, compare_modules
from tests.conftest import save_tensors


def _factors(rng: np.random.Generator, out: int, inner: int, rank: int, scaling: float) -> Factors:
    return Factors(rng.standard_normal((rank, inner)), rng.standard_normal((out, rank)), scaling)


@settings(max_examples=150)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 24),
    st.integers(1, 24),
    st.integers(1, 30),
    st.integers(1, 30),
    st.floats(0.01, 50),
    st.floats(0.01, 50),
)
def test_against_the_dense_matrices(
    seed: int, out: int, inner: int, rank_a: int, rank_b: int, scale_a: float, scale_b: float
) -> None:
    rng = np.random.default_rng(seed)
    one, other = _factors(rng, out, inner, rank_a, scale_a), _factors(rng, out, inner, rank_b, scale_b)
    found = compare_modules("m", one, other)
    assert found is not None
    a, b = scale_a * one.b @ one.a, scale_b * other.b @ other.a
    assert math.isclose(found.norm_a, np.linalg.norm(a), rel_tol=1e-9)
    assert math.isclose(found.norm_b, np.linalg.norm(b), rel_tol=1e-9)
    assert math.isclose(found.norm_change, np.linalg.norm(b - a), rel_tol=1e-8)
    cosine = np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b)
    assert found.cosine is not None and math.isclose(found.cosine, cosine, abs_tol=1e-9)
    values = np.linalg.svd(a, compute_uv=False)
    shares = values[values > 1e-10 * values[0]]
    shares = shares / shares.sum()
    assert math.isclose(found.effective_a, np.exp(-np.sum(shares * np.log(shares))), rel_tol=1e-6)
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    kept = s > 1e-10 * s[0]
    inside = u[:, kept].T @ b @ vt[kept].T
    assert found.shared is not None
    assert math.isclose(found.shared, np.sum(inside**2) / np.sum(b**2), abs_tol=1e-8)


def test_the_same_update_in_other_factors_is_the_same() -> None:
    """Another rank, another alpha, another basis: only what is added to the weights counts."""
    rng = np.random.default_rng(0)
    one = _factors(rng, 12, 20, 4, 2.0)
    mix = rng.standard_normal((4, 4))
    b = np.hstack([one.b @ np.linalg.inv(mix), np.zeros((12, 4))])
    a = np.vstack([mix @ one.a, rng.standard_normal((4, 20))])
    found = compare_modules("m", one, Factors(a * 4, b, 0.5))
    assert found is not None and found.cosine == pytest.approx(1)
    assert found.norm_change < 1e-9 * found.norm_a and found.shared == pytest.approx(1)
    assert found.effective_a == pytest.approx(found.effective_b) and (found.rank_a, found.rank_b) == (
        4,
        8,
    )


def test_what_has_no_direction() -> None:
    rng = np.random.default_rng(0)
    one = _factors(rng, 6, 7, 2, 1.0)
    zero = Factors(one.a, np.zeros_like(one.b), 1.0)
    found = compare_modules("m", one, zero)
    assert found is not None and (found.cosine, found.shared) == (None, None)
    assert (found.norm_b, found.effective_b) == (0, 0) and found.norm_change == pytest.approx(
        found.norm_a
    )
    assert compare_modules("m", one, _factors(rng, 6, 8, 2, 1.0)) is None
    assert compare_modules("m", one, Factors(one.a * math.nan, one.b, 1.0)) is None


def _adapter(folder: Path, rank: int, alpha: float, **more: Any) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(rank)
    tensors = {}
    for module in ("q", "v"):
        prefix = f"base_model.model.layers.0.{module}_proj"
        tensors[f"{prefix}.lora_A.weight"] = rng.standard_normal((rank, 32)).astype(np.float32)
        tensors[f"{prefix}.lora_B.weight"] = rng.standard_normal((16, rank)).astype(np.float32)
        if more.get("use_dora"):
            vector = np.full(16, 1.0 + rank, np.float32)
            tensors[f"{prefix}.lora_magnitude_vector.weight"] = vector
    save_tensors(folder / "adapter_model.safetensors", tensors)
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": alpha, "target_modules": ["q_proj"], **more}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return tensors


@pytest.mark.parametrize(("rslora", "dora"), [(False, False), (True, False), (False, True)])
def test_two_folders(tmp_path: Path, rslora: bool, dora: bool) -> None:
    repo = mstore.init(tmp_path)
    more = {"use_rslora": rslora, "use_dora": dora, "alpha_pattern": {"v_proj": 8}}
    a, b = _adapter(tmp_path / "a", 4, 16, **more), _adapter(tmp_path / "b", 8, 16, **more)
    found = repo.diff(tmp_path / "a", tmp_path / "b", stat=True)
    assert len(found.effects) == 2 and repo.diff(tmp_path / "a", tmp_path / "b").effects == ()
    for effect in found.effects:
        alpha = 8 if "v_proj" in effect.module else 16
        dense = [
            (alpha / math.sqrt(rank) if rslora else alpha / rank)
            * t[f"{effect.module}.lora_B.weight"].astype(float)
            @ t[f"{effect.module}.lora_A.weight"].astype(float)
            for t, rank in ((a, 4), (b, 8))
        ]
        assert effect.norm_a == pytest.approx(np.linalg.norm(dense[0]))
        assert effect.norm_change == pytest.approx(np.linalg.norm(dense[1] - dense[0]))
        assert effect.magnitude == (pytest.approx(4 / 5) if dora else None)
    assert json.loads(json.dumps(found.to_dict()))["effects"].keys() == {
        e.module for e in found.effects
    }


def test_the_example_answers_in_five_lines(tmp_path: Path) -> None:
    import subprocess
    import sys

    example = Path(__file__).parents[3] / "examples/ranks.py"
    _adapter(tmp_path / "a", 4, 16)
    _adapter(tmp_path / "b", 8, 16)
    for other, answer in (("b", "different ranks (4,) (8,)"), ("a", "equal ranks (4,) (4,)")):
        done = subprocess.run(
            [sys.executable, str(example), "a", other],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == answer


def test_on_the_command_line(mstore: Any, workshop: Path) -> None:
    _adapter(workshop / "a", 4, 16)
    _adapter(workshop / "b", 8, 16)
    _, out, _ = mstore("diff", "./a", "./b", "--stat")
    assert "What the adapters do" in out and "layers.0.q_proj" in out and "effective rank" in out
    assert "What the adapters do" not in mstore("diff", "./a", "./b")[1]
    assert "r 4 → 8" in out or "4 → 8" in out
