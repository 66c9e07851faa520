"""A folder in memory, for the facts to be read from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mstore.formats import BytesSource, describe, parse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Folder:
    """A FolderSource of a dict, or of a folder on disk."""

    def __init__(self, files: Mapping[str, bytes | str | dict[str, Any]]):
        self.files = {
            k: v if isinstance(v, bytes) else (v if isinstance(v, str) else json.dumps(v)).encode()
            for k, v in files.items()
        }
        self.reads: list[str] = []

    @classmethod
    def at(cls, root: Path) -> Folder:
        return cls({str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()})

    def paths(self):
        return list(self.files)

    def size_bytes(self, path, /):
        return len(self.files[path])

    def read(self, path, /):
        self.reads.append(path)
        return self.files[path]

    def layouts(self):
        found = {p: parse(BytesSource(p, c)).layout for p, c in self.files.items()}
        return {p: layout for p, layout in found.items() if layout is not None}

    def facts(self):
        return describe(self, self.layouts())
