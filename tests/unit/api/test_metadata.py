"""Metadata from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from mstore.api.metadata import read_metadata
from mstore.errors import InvalidInput


def test_a_file_of_metadata_is_an_object_or_named(tmp_path: Path) -> None:
    path = tmp_path / "meta.json"
    with pytest.raises(InvalidInput, match="cannot be read: No such file") as met:
        read_metadata(str(path))
    assert met.value.where == str(path)
    path.write_text('{"a": 1}')
    assert read_metadata(str(path)) == {"a": 1}
    path.write_text('{"a": 1,\n "b" 2}')
    with pytest.raises(InvalidInput, match="line 2"):
        read_metadata(str(path))
