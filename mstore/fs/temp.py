"""Temporary files and who owns them.

A temporary file is locked by the process that writes it from the instant it has its
name; one that can be locked has a dead owner and may be removed.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final

from mstore.fs.locks import NEW, is_abandoned

if TYPE_CHECKING:
    from pathlib import Path

TMP: Final = ".tmp"
LEAN: Final = ".lean"
_NEW_FOR_S: Final = 600


def sweep_folder(folder: Path) -> int:
    """Remove temporary files whose owner is dead from a folder; how many went.

    A file is named `.new` for the instant before its owner has locked it: those are
    spared for ten minutes.
    """
    gone, edge = 0, time.time() - _NEW_FOR_S
    try:
        names = [n for n in os.listdir(folder) if n.endswith((NEW, TMP, LEAN))]
    except OSError:
        return 0
    for name in names:
        with contextlib.suppress(OSError):
            if name.endswith(NEW) and os.lstat(folder / name).st_mtime > edge:
                continue
            gone += is_abandoned(folder / name, and_remove=True)
    return gone
