"""Bytes by key: the interface, and the backends on a local disk and in memory."""

from mstore.backend.base import Backend, Entry, Upload
from mstore.backend.local import (
    LocalBackend,
    Observer,
    fsync_file,
    fsync_folder,
    replace_file,
    start_writing,
    write_all,
)
from mstore.backend.memory import MemoryBackend

__all__ = [
    "Backend",
    "Entry",
    "LocalBackend",
    "MemoryBackend",
    "Observer",
    "Upload",
    "fsync_file",
    "fsync_folder",
    "replace_file",
    "start_writing",
    "write_all",
]
