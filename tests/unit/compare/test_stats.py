"""By how much tensors differ, against a dense computation."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from mstore.compare import stats as tensorstat
from mstore.compare.diff import diff
from tests.unit.compare.folders import figures_of, of, saved, text

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "BOOL": torch.bool,
}


@pytest.mark.parametrize("dtype", DTYPES)
def test_figures_are_those_of_a_dense_computation(tmp_path, monkeypatch, dtype):
    monkeypatch.setattr(tensorstat, "_CHUNK_ELEMENTS", 300)
    rng = np.random.default_rng(0)
    raw = [rng.integers(0, 2 if dtype == "BOOL" else 256, 8000, np.uint8) for _ in range(2)]
    raw[1][:4000] = raw[0][:4000]
    a, b = (torch.from_numpy(r).view(DTYPES[dtype]).reshape(10, -1) for r in raw)
    if dtype == "F64":  # random exponents would overflow the squares
        a = torch.randn(1000, dtype=torch.float64).reshape(10, -1)
        b = a + torch.randn_like(a) * (torch.rand_like(a) < 0.5)
    found = diff(of(saved(tmp_path / "a", w=a)), of(saved(tmp_path / "b", w=b)), stat=True).tensors
    [pair] = found.changed
    stat, width = figures_of(pair), a.element_size()
    x, y = (t.to(torch.float64).numpy().ravel() for t in (a, b))
    bits = [t.contiguous().view(torch.uint8).numpy().reshape(-1, width) for t in (a, b)]
    assert stat.elements == a.numel()
    assert stat.differing == (bits[0] != bits[1]).any(1).sum()
    finite = np.isfinite(x) & np.isfinite(y)
    assert stat.not_finite == (~finite).sum()
    x, y = x[finite], y[finite]
    assert stat.relative == pytest.approx(np.linalg.norm(y - x) / np.linalg.norm(x), rel=1e-12)
    expected = np.dot(x / np.linalg.norm(x), y / np.linalg.norm(y))
    assert stat.cosine == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert found.total is not None and found.total.relative == pytest.approx(stat.relative)
    assert found.unmeasured == 0


@pytest.mark.parametrize("name", ["F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"])
def test_every_code_of_an_8_bit_float(name):
    codes = torch.arange(256, dtype=torch.uint8)
    expected = codes.view(DTYPES[name]).to(torch.float64).numpy()
    np.testing.assert_array_equal(tensorstat.values_of(bytes(codes.numpy()), name), expected)


def test_figures_of_recast_tensors_go_by_value(tmp_path):
    w = torch.tensor([1.0, 2.0, math.nan, 1.0009765625, math.inf])
    a, b = saved(tmp_path / "a", w=w), saved(tmp_path / "b", w=w.bfloat16())
    [pair] = diff(of(a), of(b), stat=True).tensors.recast
    stat = figures_of(pair)
    assert stat.differing == 1  # the one that bfloat16 has no room for
    assert stat.not_finite == 2
    assert stat.norm_change == 0.0009765625


def test_figures_at_the_edges(tmp_path):
    zero = torch.zeros(4)
    a = saved(
        tmp_path / "a",
        zero=zero,
        sign=zero.clone(),
        back=torch.ones(4),
        gone=torch.full((4,), math.nan),
    )
    b = saved(tmp_path / "b", zero=torch.ones(4), sign=-zero, back=zero, gone=torch.ones(4))
    result = diff(of(a), of(b), stat=True)
    stats = {str(p): figures_of(p) for p in result.tensors.changed}
    assert (stats["zero"].relative, stats["zero"].cosine) == (math.inf, None)
    assert (stats["sign"].share, stats["sign"].relative) == (1.0, 0.0)  # bits differ, values do not
    assert (stats["back"].relative, stats["back"].cosine) == (1.0, None)
    assert (stats["gone"].not_finite, stats["gone"].relative) == (4, 0.0)
    total = result.tensors.total
    assert total is not None
    assert (total.elements, total.norm_a, total.norm_b) == (16, 2.0, 2.0)
    assert total.relative == pytest.approx(math.sqrt(2))
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    figures = {t["name"]: t["stat"] for t in plain["tensors"]["changed"]}
    assert figures["zero"]["relative"] == "Infinity"
    assert figures["zero"]["cosine"] is None
    assert plain["tensors"]["stat"]["element_count"] == 16
    assert "4 not finite" in text(result)


def test_what_has_no_figures_is_said(tmp_path):
    a = saved(tmp_path / "a", c=torch.ones(3, dtype=torch.complex64), w=torch.ones(3))
    b = saved(tmp_path / "b", c=torch.zeros(3, dtype=torch.complex64), w=torch.zeros(3))
    result = diff(of(a), of(b), stat=True)
    assert [p.stat is None for p in result.tensors.changed] == [True, False]
    assert result.tensors.unmeasured == 1
    assert "no figures for this dtype" in text(result)
    assert "1 tensor without figures" in text(result)
