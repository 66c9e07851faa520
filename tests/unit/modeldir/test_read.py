"""A model directory read as a tree: what is read, what a cache spares, what changed meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mstore.errors import BadFile, InvalidInput, NotFound
from mstore.modeldir.read import (
    TreeBuilder,
    folder_weights,
    hash_blobs,
    index_warnings,
    open_cut,
    read_folder,
)
from mstore.objects import Layout, LayoutId, blob_id
from mstore.workspace.statcache import StatCache
from mstore.worktree.scan import OpenFile, ScannedFile, scan
from tests.conftest import contents, write_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_model(tmp_path / "out")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read."""
    found: list[str] = []
    right = OpenFile.__init__

    def init(self: OpenFile, file: ScannedFile) -> None:
        found.append(file.path)
        right(self, file)

    monkeypatch.setattr(OpenFile, "__init__", init)
    return found


def test_a_tree_is_what_the_folder_holds(folder: Path) -> None:
    tree = read_folder(folder)
    assert list(tree.entries) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert tree.fresh == tuple(tree.entries) and tree.tensor_count == 3 and tree.warnings == ()
    for path, content in contents(folder).items():
        entry = tree.entries[path]
        assert entry.size_bytes == len(content) == sum(s.length for s in entry.segments)
    assert tree.entries["config.json"].segments[0].blob == blob_id(
        (folder / "config.json").read_bytes()
    )
    assert tree.manifest.by_path == dict(tree.entries)
    model = tree.facts().model
    assert model is not None and model.architectures == ("GPT2LMHeadModel",)
    assert tree.weights() == folder_weights(folder) and set(tree.weights()) == {""}


def test_roles_and_folders_are_left_out(folder: Path) -> None:
    write_model(folder / "inner/.hidden-store")
    whole = read_folder(folder)
    less = read_folder(
        folder, exclude=(folder / "inner/.hidden-store",), without=frozenset({"tokenizer"})
    )
    assert set(whole.entries) - set(less.entries) == {
        "tokenizer.json",
        *(
            f"inner/.hidden-store/{name}"
            for name in ("config.json", "model.safetensors", "tokenizer.json")
        ),
    }
    assert "inner/.hidden-store/" in less.found.ignored


def test_broken_weights_are_bytes_with_a_warning(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"noise")
    tree = read_folder(folder)
    assert tree.entries["model.safetensors"].layout is None and tree.tensor_count == 0
    assert len(tree.warnings) == 1 and "model.safetensors" in tree.warnings[0]
    with pytest.raises(BadFile):
        list(open_cut(tree.found.files))


def test_what_the_cache_knows_is_not_read_again(
    folder: Path, tmp_path: Path, opened: list[str]
) -> None:
    for file in folder.iterdir():
        os.utime(file, (1_700_000_000, 1_700_000_000))
    cache = _PatientCache(tmp_path / "stat.sqlite", "store")
    first = read_folder(folder, cache=cache)
    layouts = {e.layout: first.layouts[p] for p, e in first.entries.items() if e.layout is not None}
    opened.clear()
    again = read_folder(folder, cache=cache, load_layout=lambda id: layouts[id])
    assert opened == [] and again.fresh == ()
    assert again.entries == first.entries and again.layouts == first.layouts
    (folder / "config.json").write_text("{}")
    assert read_folder(folder, cache=cache, load_layout=lambda id: layouts[id]).fresh == (
        "config.json",
    )


def test_an_entry_whose_layout_is_gone_is_read_again(folder: Path, tmp_path: Path) -> None:
    cache = _PatientCache(tmp_path / "stat.sqlite", "store")
    read_folder(folder, cache=cache)

    def gone(id: LayoutId) -> Layout:
        raise NotFound("gc was here")

    assert read_folder(folder, cache=cache, load_layout=gone).fresh == ("model.safetensors",)


class _PatientCache(StatCache):
    """One that takes files as if they had been read long after they were written."""

    def keep(self, entries: Any, *, read_at_ns: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mstore.workspace.statcache.time.time_ns", lambda: 2**62)
            super().keep(entries, read_at_ns=2**61)


def test_a_file_that_changes_while_it_is_read_refuses_the_folder(folder: Path) -> None:
    found = scan(folder)
    builder = TreeBuilder(found, cached={})
    with pytest.raises(InvalidInput, match=r"config\.json: changed while it was being read"):
        for batch in open_cut(builder.unread, allow_opaque=True):
            with open(folder / "config.json", "ab") as file:
                file.write(b" ")
            builder.add(batch, hash_blobs([blob for item in batch for blob in item.blobs()]))


def test_blobs_are_hashed_in_order_however_many(folder: Path) -> None:
    for batch in open_cut(scan(folder).files, allow_opaque=True):
        blobs = [blob for item in batch for blob in item.blobs()]
        ids = hash_blobs(blobs)
        assert ids == [hash_blobs([blob])[0] for blob in blobs] and len(set(ids)) > 1
    assert hash_blobs([]) == []


def test_an_index_without_its_shards_is_refused(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"w": "absent.safetensors"}}')
    with pytest.raises(BadFile, match="absent"):
        index_warnings(scan(folder), allow_incomplete=False)
    assert "absent" in index_warnings(scan(folder), allow_incomplete=True)[0]
