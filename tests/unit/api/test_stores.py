"""A store is opened by a folder that holds it, without a workspace."""

from __future__ import annotations

from pathlib import Path

import pytest

from mstore.api.stores import open_store
from mstore.errors import NoStore
from mstore.objects import blob_id
from mstore.store import Store
from mstore.store.identity import read_identity


@pytest.mark.parametrize("inside", ["", "store", ".mstore/store"])
def test_it_is_found_where_it_lies(tmp_path: Path, inside: str) -> None:
    Store.create(tmp_path / "x" / inside)
    opened = open_store(tmp_path / "x", tmp_path / "cache")
    assert opened.path == tmp_path / "x" / inside
    assert not opened.has(blob_id(b"nothing"))
    (catalog,) = (tmp_path / "cache").glob("*.sqlite")
    assert catalog.name == f"{read_identity(opened.backend).id}.sqlite"


def test_a_store_is_itself_before_one_inside_it(tmp_path: Path) -> None:
    Store.create(tmp_path / "x")
    (tmp_path / "x/store").mkdir()
    (tmp_path / "x/store/store.json").write_text("noise")
    assert open_store(tmp_path / "x", tmp_path / "cache").path == tmp_path / "x"


def test_where_there_is_none_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoStore, match="no store at"):
        open_store(tmp_path, tmp_path / "cache")
