"""Branch names for training runs.

Hides the rules of docs/format.md section 7 (which names a ref may have, which
names collide). Pure functions: they see names, never a store.
"""

from __future__ import annotations

import os
import re
import unicodedata
from typing import TYPE_CHECKING, Final

from mstore.objects import folded

if TYPE_CHECKING:
    from collections.abc import Iterable

FALLBACK: Final = "run"
MAX_PART_BYTES: Final = 200  # of the 255 that a file name may have: room for "-12" and for a suffix
_FORBIDDEN: Final = re.compile(r'[\s~^:?*\[\\"<>|]')


def _part(text: str) -> str:
    """Clean one part of a name; "" where nothing of it may be in one."""
    part = text.replace("@{", "@-")
    while ".." in part:
        part = part.replace("..", ".")
    part = part.encode()[:MAX_PART_BYTES].decode(errors="ignore")
    while True:
        shorter = part.lstrip(".-").rstrip(".-").removesuffix(".lock")
        if shorter == part:
            return part
        part = shorter


def branch_name(text: str) -> str:
    """Give the branch name nearest to any text; "run" where no part of it may be in a name."""
    clean = unicodedata.normalize("NFC", text.encode(errors="replace").decode())
    clean = "".join("-" if unicodedata.category(c)[0] == "C" else c for c in clean)
    parts = [_part(p) for p in _FORBIDDEN.sub("-", clean).split("/")]
    name = "/".join(p for p in parts if p)
    return FALLBACK if name in ("", "HEAD", "@") else name


def wanted_name(branch: str | None, run_name: str | None, output_dir: str) -> str:
    """Give the name that a run asks for: argument, run's name, or output folder's.

    transformers once set `run_name` to the output folder's path; that is no
    name that a user gave, so the folder's own name is used.
    """
    if branch:
        return branch_name(branch)
    folder = os.path.abspath(output_dir)
    if run_name and os.path.abspath(run_name) != folder:
        return branch_name(run_name)
    return branch_name(os.path.basename(folder))


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """Choose `wanted`, or the first of `wanted-2`, `wanted-3` … that no existing branch obstructs.

    A branch is in the way if it has the name (in any case or Unicode form), or
    if one of the two would have to be a folder of the other. In the last case
    (`out` exists, `out/run-1` is wanted) the part in the way gets the number.
    """
    names = {folded(name) for name in taken}
    folders = {name[: i.start()] for name in names for i in re.finditer("/", name)}
    parts = wanted.split("/")
    for end in range(1, len(parts) + 1):
        stem, number = "/".join(parts[:end]), 1
        last = end == len(parts)
        while folded(stem) in names or (last and folded(stem) in folders):
            number += 1
            stem = "/".join([*parts[: end - 1], f"{parts[end - 1]}-{number}"])
        parts[:end] = stem.split("/")
    return "/".join(parts)
