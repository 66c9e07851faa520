"""What a diff is given: a folder, a version, and what it is called."""

from __future__ import annotations

import pytest

from mstore.compare.diff import side_of
from mstore.errors import NotFound, RevisionNotFound, UsageError
from tests.unit.compare.folders import committed, write_adapter


def test_sides(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    id = committed(place, write_adapter(tmp_path / "runs" / "one"), branch="a/b")
    assert (
        side_of(place, "a/b").manifest
        == side_of(place, id).manifest
        == side_of(None, "./runs/one").manifest
    )
    assert side_of(place, "runs/one").is_folder
    with pytest.raises(RevisionNotFound):
        side_of(place, "nowhere")
    with pytest.raises(RevisionNotFound):
        side_of(place, "no/where")
    with pytest.raises(NotFound):
        side_of(place, "./no/where")
    with pytest.raises(UsageError):
        side_of(None, "main")
    with pytest.raises(UsageError):
        side_of(place, None)
