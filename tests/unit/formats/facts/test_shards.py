"""Indexes of sharded weights."""

from __future__ import annotations

import pytest

from mstore.errors import BadFile
from mstore.formats import check_index
from tests.unit.formats.facts.folders import Folder

INDEX = "model.safetensors.index.json"


@pytest.mark.parametrize(
    "shard",
    [
        "../x.safetensors",
        "a/../../x",
        "/etc/passwd",
        "\\\\host\\x",
        "..\\x",
        "C:\\x",
        "C:x",
        "",
        "a\0b",
        1,
        None,
    ],
)
@pytest.mark.parametrize("allow_incomplete", [True, False])
def test_shards_never_leave_the_folder(shard, allow_incomplete):
    folder = Folder({f"sub/{INDEX}": {"weight_map": {"w": shard}}})
    with pytest.raises(BadFile, match="weight_map"):
        check_index(folder, allow_incomplete=allow_incomplete)


def test_missing_shards_are_named():
    files = {f"sub/{INDEX}": {"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}}
    folder = Folder({**files, "sub/1.safetensors": b"", "2.safetensors": b""})
    with pytest.raises(BadFile, match=r"2\.safetensors is missing"):
        check_index(folder, allow_incomplete=False)
    (warning,) = check_index(folder, allow_incomplete=True)
    assert "2.safetensors is missing" in warning
    folder.files["sub/2.safetensors"] = b""
    assert check_index(folder, allow_incomplete=False) == ()


def test_indexes_that_are_none():
    assert check_index(Folder({"faiss.index.json": {"x": 1}}), allow_incomplete=False) == ()
    assert "not JSON" in check_index(Folder({INDEX: b"{"}), allow_incomplete=False)[0]
    with pytest.raises(BadFile, match="not an object"):
        check_index(Folder({INDEX: {"weight_map": []}}), allow_incomplete=False)


def test_code_is_a_warning():
    files = {"config.json": {"auto_map": {"AutoModel": "m.M"}}}
    assert check_index(Folder(files), allow_incomplete=False) == ()
    (warning,) = check_index(Folder({**files, "m.py": b"raise SystemExit"}), allow_incomplete=False)
    assert "never imported" in warning
    assert check_index(Folder({"m.py": b""}), allow_incomplete=False) == ()
