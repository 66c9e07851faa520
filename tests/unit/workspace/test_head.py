"""Where a workspace stands: a branch, or a commit, as its file has it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mstore.errors import Corrupt
from mstore.objects import CommitId
from mstore.workspace import Head

ID = CommitId(bytes(range(32)))


@pytest.mark.parametrize("head", [Head(branch="main"), Head(branch="runs/a"), Head(commit=ID)])
def test_what_is_written_is_read(head: Head) -> None:
    assert Head.from_dict(json.loads(json.dumps(head.to_dict())), "HEAD") == head


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"branch": "main", "commit": ID.hex},
        {"branch": "a..b"},
        {"branch": None},
        {"commit": ""},
        {"commit": "xyz"},
        {"commit": 3},
        {"other": "main"},
        [],
        None,
        3,
    ],
)
def test_anything_else_is_corrupt_and_names_the_file(document: Any) -> None:
    with pytest.raises(Corrupt) as met:
        Head.from_dict(document, "/x/.mstore/HEAD")
    assert met.value.where == "/x/.mstore/HEAD"
