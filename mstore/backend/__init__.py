"""Bytes by key: the interface, and the backends on a local disk and in memory.

What lies in `mstore.fs` stays importable from here until 1.0, as it was in 0.2.
"""

from typing import TYPE_CHECKING, Any

from mstore.backend.base import Activity, Backend, Entry, Observer, TempRoots, Upload
from mstore.backend.local import LocalBackend
from mstore.compat import moved_names
from mstore.fs.durable import (
    confirm_folder,
    fsync_file,
    fsync_folder,
    make_folder,
    replace_file,
    replacement,
    start_writing,
    write_all,
)
from mstore.fs.failures import UnconfirmedChange
from mstore.fs.locks import locks_work
from mstore.fs.mounts import network_type
from mstore.fs.temp import sweep_folder

if TYPE_CHECKING:
    from mstore.backend.memory import MemoryBackend

__all__ = [
    "Activity",
    "Backend",
    "Entry",
    "LocalBackend",
    "MemoryBackend",
    "Observer",
    "TempRoots",
    "UnconfirmedChange",
    "Upload",
    "confirm_folder",
    "fsync_file",
    "fsync_folder",
    "locks_work",
    "make_folder",
    "network_type",
    "replace_file",
    "replacement",
    "start_writing",
    "sweep_folder",
    "write_all",
]

_moved = moved_names(__name__, {"Lean": "TempRoots"})


def __getattr__(name: str) -> Any:
    if name == "MemoryBackend":  # No command needs it.
        from mstore.backend.memory import MemoryBackend

        return MemoryBackend
    return _moved(name)
