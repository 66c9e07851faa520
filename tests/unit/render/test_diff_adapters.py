"""The part of a diff that shows LoRA adapters."""

from __future__ import annotations

import json
from pathlib import Path

from mstore.compare.diff import diff
from mstore.render.diff_adapters import adapter_sections
from mstore.render.page import Page
from tests.unit.compare.folders import of, write_adapter, write_model


def _sections(a: Path, b: Path, width: int = 100) -> dict[str, list[str]]:
    return dict(adapter_sections(Page(width, lambda text, colour: text), diff(of(a), of(b))))


def test_ranks_alphas_and_targets_stand_in_a_row_each(tmp_path: Path) -> None:
    found = _sections(write_adapter(tmp_path / "a", rank=4), write_adapter(tmp_path / "b", rank=8))
    lines = found["LoRA"]
    assert lines[0].split() == ["rank", "r", "4", "→", "8"]
    assert lines[1].split() == ["alpha", "8", "→", "16"]
    assert any("targets" in line and "c_attn" in line and "→" not in line for line in lines)
    assert any("2 modules" in line and "h.*" in line for line in lines), (
        "modules of a kind are one line"
    )


def test_one_that_did_not_change_says_so(tmp_path: Path) -> None:
    found = _sections(write_adapter(tmp_path / "a"), write_adapter(tmp_path / "b", seed=1))
    assert list(found) == ["LoRA  same"]


def test_one_that_only_one_side_has_names_it(tmp_path: Path) -> None:
    a, b = write_model(tmp_path / "a"), write_model(tmp_path / "b")
    write_adapter(b / "second\x1b")
    (title,) = _sections(a, b)
    assert title == "LoRA  second\\x1b/  only in b"
    (title,) = _sections(b, a)
    assert title == "LoRA  second\\x1b/  only in b"


def test_another_kind_of_adapter_is_called_so(tmp_path: Path) -> None:
    for name in "ab":
        folder = write_adapter(tmp_path / name, rank=4 if name == "a" else 8)
        config = json.loads((folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps({**config, "peft_type": "LOHA"}))
    (title,) = _sections(tmp_path / "a", tmp_path / "b")
    assert title.startswith("LOHA")


def test_long_lists_of_targets_are_cut(tmp_path: Path) -> None:
    for name in "ab":
        folder = write_adapter(tmp_path / name)
        config = json.loads((folder / "adapter_config.json").read_text())
        targets = [f"{chr(97 + i)}_module_{name}" for i in range(26)]
        (folder / "adapter_config.json").write_text(json.dumps({**config, "target_modules": targets}))
    (lines,) = _sections(tmp_path / "a", tmp_path / "b", width=80).values()
    (line,) = [line for line in lines if "targets" in line]
    assert line.count("…") == 2 and "→" in line and len(line) <= 80
