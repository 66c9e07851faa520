"""System calls that change files: counted, failed, cut short, or never returned from.

The shim stands between Python and the kernel: every function of `os` that can
change a file or folder, and `open` for writing, which goes through them here.
What sqlite3 writes (caches that may be lost at any time) does not pass through
it; tests/proofs/faults/test_strace.py injects below that.
"""

from __future__ import annotations

import _pyio
import builtins
import errno
import io
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn


class Fault(Enum):
    """What happens at one call.

    A full disk stays full: after ENOSPC and EDQUOT every later call that needs
    room fails too. The others happen once.
    """

    EIO = errno.EIO
    ENOSPC = errno.ENOSPC
    EDQUOT = errno.EDQUOT
    EINTR = errno.EINTR
    SHORT = "short write"
    KILL_BEFORE = "SIGKILL before"
    KILL_AFTER = "SIGKILL after"

    @property
    def kills(self) -> bool:
        """Whether the process does not survive it."""
        return self in (Fault.KILL_BEFORE, Fault.KILL_AFTER)


_WRITES = frozenset({"write", "pwrite", "copy_file_range", "sendfile"})
_TAKES_ROOM = _WRITES | {"open", "mkdir", "link", "symlink", "fsync"}
_MUTATING = (
    "open",
    "write",
    "pwrite",
    "copy_file_range",
    "sendfile",
    "fsync",
    "fdatasync",
    "link",
    "symlink",
    "rename",
    "replace",
    "mkdir",
    "unlink",
    "remove",
    "rmdir",
    "truncate",
    "ftruncate",
    "chmod",
    "fchmod",
    "utime",
    "posix_fallocate",
)
_OPENS_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("outlived SIGKILL")


Around = Callable[[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Stands around a call: its name, the call, its arguments; makes it, or does not."""


def stand_around(root: Path, around: Around) -> Callable[[], None]:
    """Have every mutating call on something below a folder pass through, in this process.

    Args:
        root: calls on paths elsewhere are left alone.
        around: what they pass through.

    Returns:
        What ends it.
    """
    plain = {name: getattr(os, name) for name in _MUTATING if hasattr(os, name)}
    for name, call in plain.items():
        setattr(os, name, _passing(root, around, name, call))
    plain_open = builtins.open

    def opened(file: Any, mode: str = "r", *args: Any, **named: Any) -> Any:
        # The one in C makes its calls where nobody can stand around them.
        opens = _pyio.open if set(mode) & set("wax+") else plain_open
        return opens(file, mode, *args, **named)

    def step_aside() -> None:
        for name, call in plain.items():
            setattr(os, name, call)
        io.open = builtins.open = plain_open

    io.open = builtins.open = opened
    return step_aside


def _passing(root: Path, around: Around, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def passing(*args: Any, **named: Any) -> Any:
        if name == "open" and not (args[1] if len(args) > 1 else named["flags"]) & _OPENS_TO_WRITE:
            return call(*args, **named)
        if not _is_inside(root, args[0], named.get("dir_fd", named.get("src_dir_fd"))):
            return call(*args, **named)
        return around(name, call, args, named)

    return passing


def _is_inside(root: Path, place: Any, dir_fd: int | None) -> bool:
    """Whether a path or descriptor lies below a folder."""
    if isinstance(place, int):
        path = os.readlink(f"/proc/self/fd/{place}")
    elif dir_fd is not None:
        path = os.readlink(f"/proc/self/fd/{dir_fd}")
    else:
        path = os.path.abspath(os.fsdecode(place))
    return path.startswith(str(root))


@dataclass
class Shim:
    """Counts calls; at one of them a fault happens.

    Args:
        at: number of that call, from 0; None: no fault, only counting.
        fault: what happens there.
        root: calls on paths elsewhere are not looked at.
    """

    at: int | None
    fault: Fault | None
    root: Path
    calls: list[str] = field(default_factory=list)
    happened: bool = False
    _full: bool = False

    def install(self) -> Callable[[], None]:
        """Take effect in this process; gives what ends it."""
        return stand_around(self.root, self._around)

    def _around(
        self, name: str, call: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        number = len(self.calls)
        self.calls.append(f"{name} {self._shown(args)}")
        if number == self.at and self.fault is not None:
            return self._fail(name, call, args, named)
        if self._full and self.fault is not None and name in _TAKES_ROOM:
            if name in ("open", "mkdir") and os.path.lexists(self._path(args[0], named.get("dir_fd"))):
                return call(*args, **named)  # That it is there is told first, and it takes no room.
            raise OSError(self.fault.value, os.strerror(self.fault.value))
        return call(*args, **named)

    def _fail(
        self, name: str, call: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        fault = self.fault
        assert fault is not None
        if fault is Fault.KILL_BEFORE:
            _die()
        if fault is Fault.KILL_AFTER:
            call(*args, **named)
            _die()
        if fault is Fault.SHORT:
            if name not in ("write", "pwrite") or len(memoryview(args[1]).cast("B")) < 2:
                return call(*args, **named)
            self.happened = True
            half = memoryview(args[1]).cast("B")[: len(memoryview(args[1]).cast("B")) // 2]
            return call(args[0], half, *args[2:], **named)
        if fault in (Fault.ENOSPC, Fault.EDQUOT):
            self._full = True
        self.happened = True
        raise OSError(fault.value, os.strerror(fault.value))

    @staticmethod
    def _path(place: Any, dir_fd: int | None) -> str:
        above = os.readlink(f"/proc/self/fd/{dir_fd}") if dir_fd is not None else ""
        return os.path.join(above, os.fsdecode(place))

    def _shown(self, args: tuple[Any, ...]) -> str:
        place = args[0]
        path = os.readlink(f"/proc/self/fd/{place}") if isinstance(place, int) else os.fsdecode(place)
        return path.removeprefix(str(self.root)).lstrip("/")
