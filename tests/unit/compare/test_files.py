"""Files that are no weights: added, removed, changed."""

from __future__ import annotations

from dataclasses import replace

from mstore.compare.diff import diff
from mstore.objects import Manifest, Segment, blob_id
from tests.unit.compare.folders import of, text, write_model


def test_files(tmp_path):
    a, b = write_model(tmp_path / "a"), write_model(tmp_path / "b")
    (a / "README.md").write_text("one")
    (b / "LICENSE").write_text("three")
    (b / "tokenizer.json").write_text("{}")
    result = diff(of(a), of(b))
    assert result.to_dict()["files"] == {
        "added": [{"path": "LICENSE", "role": "other", "size_bytes": 5}],
        "removed": [{"path": "README.md", "role": "other", "size_bytes": 3}],
        "changed": [
            {
                "path": "tokenizer.json",
                "role": "tokenizer",
                "a": {"size_bytes": 18},
                "b": {"size_bytes": 2},
            }
        ],
    }
    assert text(result).splitlines() == [
        "Files",
        "M tokenizer.json  18 B → 2 B",
        "+ LICENSE         5 B",
        "- README.md       3 B",
    ]


def test_files_cut_differently_are_compared_by_content(tmp_path):
    side = of(write_model(tmp_path / "a"))
    content = (tmp_path / "a" / "model.safetensors").read_bytes()

    def as_one(content):
        entry = side.manifest.by_path["model.safetensors"]
        whole = (Segment(blob_id(content), 0, len(content)),)
        files = [replace(f, segments=whole) if f == entry else f for f in side.manifest.files]
        return Manifest(tuple(files))

    assert diff(side, replace(side, manifest=as_one(content))).same
    changed = tmp_path / "b"
    write_model(changed)
    (changed / "model.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    other = of(changed)
    manifest = as_one((changed / "model.safetensors").read_bytes())
    assert not diff(side, replace(other, manifest=manifest)).same
