"""A diff as lines of text: escaped, folded, coloured through one function."""

from __future__ import annotations

import json

import torch
from safetensors.torch import save_file

from mstore.compare.diff import diff
from mstore.render.diff import diff_lines
from mstore.render.page import folded_lines
from tests.unit.compare.folders import adapter, of, saved


def test_names_fold_only_where_they_differ():
    assert folded_lines(["h.0.fc1", "h.1.fc1"]) == "h.*.fc1"
    assert folded_lines(["h.0.fc1", "h.0.fc2"]) == "h.0.fc*"
    assert folded_lines(["w"]) == "w"


def test_no_name_steers_the_terminal(tmp_path):
    evil = "w\x1b[31m\u202e\n"
    a = saved(tmp_path / "a", **{evil: torch.zeros(3), "x": torch.zeros(2)})
    b = saved(tmp_path / "b", **{evil: torch.ones(3), "x" + evil: torch.zeros(2)})
    (a / "config.json").write_text(json.dumps({evil: evil}))
    (b / "config.json").write_text(json.dumps({"r": 1}))
    for stat in (False, True):
        for line in diff_lines(diff(of(a), of(b), stat=stat), width=100):
            assert line.isprintable()


def test_long_lists_are_folded_and_lines_fit(tmp_path):
    for name in "ab":
        tensors = {
            f"model.layers.{i}.{part}": torch.randn(4, 4)
            for i in range(30)
            for part in ("q", "k", "a_module_of_quite_a_long_name.with_parts.that_go_on.weight")
        }
        tensors |= {
            f"odd_{chr(97 + i)}{chr(97 + i)}": torch.full((i + 2,), ord(name)) for i in range(26)
        }
        (tmp_path / name).mkdir()
        save_file(tensors, tmp_path / name / "model.safetensors")
        config = {f"key{i}": name * 200 for i in range(40)}
        (tmp_path / name / "config.json").write_text(json.dumps(config))
        for i in range(30):
            (tmp_path / name / f"log{i}.txt").write_text(name)
    result = diff(of(tmp_path / "a"), of(tmp_path / "b"))
    lines = list(diff_lines(result, width=80))
    assert max(map(len, lines)) <= 80
    assert "  changed   30 × model.layers.*.q  F32 [4, 4] 64 B" in lines
    assert "  … and 20 more keys" in lines
    assert "  … and 9 more kinds of changed tensors" in lines
    assert "M log*.txt" in " ".join(lines)
    lines = list(diff_lines(diff(of(tmp_path / "a"), of(tmp_path / "b"), stat=True), width=120))
    assert "  … and 96 changed tensors that changed less" in lines
    assert any(line.startswith("  in all    100.0% differ") for line in lines)


def test_colours_go_through_style(tmp_path):
    import click

    result = diff(of(adapter(tmp_path / "a", r=4)), of(adapter(tmp_path / "b", r=8)))
    plain = list(diff_lines(result, width=90))
    coloured = list(diff_lines(result, width=90, style=lambda text, fg: click.style(text, fg=fg)))
    assert plain != coloured
    assert [click.unstyle(line) for line in coloured] == plain
