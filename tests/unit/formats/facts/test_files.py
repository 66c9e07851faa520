"""The JSON files of a model directory, which may be broken."""

from __future__ import annotations

import pytest

from mstore.errors import BadFile
from mstore.formats.facts.files import MAX_JSON_BYTES, object_or_warning, read_object
from tests.unit.formats.facts.folders import Folder


def test_an_object_is_read() -> None:
    warnings: list[str] = []
    folder = Folder({"a/config.json": {"x": [1]}})
    assert read_object(folder, "a/config.json") == {"x": [1]}
    assert object_or_warning(folder, "a/config.json", warnings) == {"x": [1]} and warnings == []


@pytest.mark.parametrize("content", ["", "noise", "[]", "3", '{"a": 1'])
def test_what_is_no_object_is_refused_or_kept_as_bytes_with_a_warning(content: str) -> None:
    folder = Folder({"config.json": content})
    with pytest.raises(BadFile) as met:
        read_object(folder, "config.json")
    assert met.value.where == "config.json"
    warnings: list[str] = []
    assert object_or_warning(folder, "config.json", warnings) is None
    assert warnings == [f"{met.value.message}; kept as bytes"]


def test_a_huge_one_is_not_read_at_all() -> None:
    folder = Folder({"config.json": {}})
    folder.size_bytes = lambda path, /: MAX_JSON_BYTES + 1  # type: ignore[method-assign]
    with pytest.raises(BadFile, match="is larger than"):
        read_object(folder, "config.json")
    assert folder.reads == []
