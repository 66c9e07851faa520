"""Check which paths a manifest may hold.

A manifest is input: checking out a commit from elsewhere must never write outside
its destination, nor into a workspace. The rules are those that git settled on
for `.git` (CVE-2014-9390 and its kin), applied to `.mstore`.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from mstore.errors import BadPath

MAX_PART_BYTES: Final = 255
# Code points that HFS+ ignores when it compares names.
_IGNORABLE: Final = dict.fromkeys(
    [8204, 8205, 8206, 8207, 8234, 8235, 8236, 8237, 8238, *list(range(8298, 8304)), 65279, 173, 8288]
)


def folded(name: str) -> str:
    """Fold a name as the least exact file system would compare it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())


def _means_mstore(part: str) -> bool:
    plain = folded(part.translate(_IGNORABLE)).split(":", 1)[0].rstrip(". ")
    return plain == ".mstore" or (plain.startswith("mstore~") and plain[7:].isdigit())


def check_path(path: str) -> str:
    """Return `path` if a manifest may hold it.

    Raises:
        BadPath: it is absolute, leaves its folder, names `.mstore` in any
            disguise, holds NUL or a part over 255 bytes, or is not UTF-8.
    """
    if not path:
        raise BadPath("path ''", "is empty")
    if "\0" in path:
        raise BadPath(f"path {path!r}", "holds a NUL")
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise BadPath(f"path {path!r}", "is not valid UTF-8") from error
    if path.startswith("/"):
        raise BadPath(f"path {path!r}", "is absolute")
    for part in path.split("/"):
        if part in ("", ".", ".."):
            raise BadPath(f"path {path!r}", f"has a part {part!r}")
        if len(part.encode()) > MAX_PART_BYTES:
            raise BadPath(f"path {path[:40]!r}…", f"has a part over {MAX_PART_BYTES} bytes")
        if _means_mstore(part):
            raise BadPath(f"path {path!r}", "names .mstore, which belongs to workspaces")
    return path
