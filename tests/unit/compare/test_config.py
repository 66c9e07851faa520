"""How configurations differ, key by key."""

from __future__ import annotations

import json
import math

from mstore.compare.diff import MISSING, diff
from tests.unit.compare.folders import of, text, write_model


def test_configuration_is_flattened(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    for folder, config in (
        (a, {"x": 1, "n": {"y": [1], "z": None, "only": True}, "f": 16, "nan": math.nan, "w": 1}),
        (b, {"x": 2, "n": {"y": [1, 2], "z": 0}, "f": 16.0, "nan": math.nan, "w": True, "new": None}),
    ):
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "other.json").write_text(json.dumps(config))
    result = diff(of(a), of(b))
    assert result.config == {
        "config.x": (1, 2),
        "config.n.y": ([1], [1, 2]),
        "config.n.z": (None, 0),
        "config.n.only": (True, MISSING),
        "config.w": (1, True),
        "config.new": (MISSING, None),
    }
    assert result.to_dict()["config"]["config.new"] == {"b": None}
    assert result.to_dict()["config"]["config.n.only"] == {"a": True}
    lines = text(result).splitlines()
    assert "  config.n.z     null → 0" in lines
    assert "- config.n.only  true" in lines
    assert "+ config.new     null" in lines


def test_a_broken_configuration_is_a_warning(tmp_path):
    a, b = write_model(tmp_path / "a"), write_model(tmp_path / "b")
    (b / "config.json").write_text("{")
    (b / "model.safetensors").write_bytes(b"no such thing")
    result = diff(of(a), of(b))
    assert sum(w.startswith("b: ") for w in result.warnings) == 2
    assert result.config["config.seed"] == (0, MISSING)
    assert len(result.tensors.removed) == 3
    assert {c.path for c in result.files.changed} == {"config.json", "model.safetensors"}
