"""The part of a diff that shows tensors: folded, or each with its figures."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mstore.compare.diff import DiffResult, diff
from mstore.compare.lora_delta import ModuleDelta
from mstore.render.diff_tensors import effect_lines, tensor_heading, tensor_lines
from mstore.render.page import Page
from tests.unit.compare.folders import of, saved


def _lines(result: DiffResult, width: int = 100) -> list[str]:
    return tensor_lines(Page(width, lambda text, colour: text), result)


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """A tensor of each kind of change, and many that changed alike."""
    same, many = torch.ones(3000), {f"h.{i}.w": torch.full((2000,), float(i)) for i in range(25)}
    a = saved(
        tmp_path / "a",
        same=same,
        gone=torch.ones(7),
        grown=torch.ones(4, 5),
        cast=torch.ones(3000),
        **many,
    )
    b = saved(
        tmp_path / "b",
        same=same,
        new=torch.ones(9),
        grown=torch.ones(6, 5),
        cast=torch.ones(3000).half(),
        **{name: value + 1 for name, value in many.items()},
    )
    return a, b


def test_each_kind_of_change_has_its_lines(sides: tuple[Path, Path]) -> None:
    result = diff(of(sides[0]), of(sides[1]))
    found = {line.split()[0]: " ".join(line.split()[1:]) for line in _lines(result)}
    assert found == {
        "reshaped": "grown F32 [4, 5] → [6, 5]",
        "added": "new F32 [9] 36 B",
        "removed": "gone F32 [7] 28 B",
        "recast": "cast F32 → F16 [3000]",
        "changed": "25 × h.*.w F32 [2000] 8.0 kB",
    }
    heading = tensor_heading(result)
    assert heading.startswith("Tensors  ") and heading.endswith("1 same") and "25 changed" in heading


def test_nothing_has_no_lines(sides: tuple[Path, Path]) -> None:
    assert _lines(diff(of(sides[0]), of(sides[0]))) == []


def test_with_figures_those_that_changed_most_come_first(sides: tuple[Path, Path]) -> None:
    lines = _lines(diff(of(sides[0]), of(sides[1]), stat=True))
    changed = [line for line in lines if line.startswith("  changed")]
    assert len(changed) == 20 and "h.0.w" in changed[0] and "100.0% differ" in changed[0]
    assert "  … and 5 changed tensors that changed less" in lines
    assert lines[-1].startswith("  in all") and any(
        "recast" in line and "F32 → F16" in line for line in lines
    )


def test_what_adapters_do_is_a_line_a_module_the_most_unlike_first() -> None:
    effects = tuple(
        ModuleDelta(
            module=f"base_model.model.h.{i}",
            rank_a=4,
            rank_b=8,
            norm_a=1.0,
            norm_b=2.0,
            norm_change=1.5,
            cosine=None if i == 3 else 1 - i / 100,
            effective_a=3.5,
            effective_b=4.0,
            shared=None,
        )
        for i in range(25)
    )
    page = Page(100, lambda text, colour: text)
    result = SimpleNamespace(effects=effects)
    lines = effect_lines(page, result)  # type: ignore[arg-type]
    assert len(lines) == 21 and lines[0].startswith("  h.24 ") and "cosine 0.7600" in lines[0]
    assert "effective rank 3.5 of 4 → 4.0 of 8" in lines[0] and "shared –" in lines[0]
    assert lines[-1] == "  … and 5 modules more alike"
