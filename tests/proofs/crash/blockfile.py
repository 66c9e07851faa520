"""A disk that remembers: one file whose writes and flushes are logged, under a loop device.

The file is served over /dev/fuse, in the kernel's own protocol (linux/fuse.h), by
a process of its own, so that writeback can never wait for the process that
caused it. What the block layer sends as a flush arrives as fsync. Needs root,
/dev/fuse and loop devices; no library.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FLUSH: Final = -1
"""Stands where a write has its offset."""

Entry = tuple[int, bytes]
"""(offset, bytes) of a write, or (FLUSH, b"")."""

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_MS_NOATIME, _MS_RDONLY, _MNT_DETACH = 1024, 1, 2
_LOOP_SET_FD, _LOOP_CLR_FD, _LOOP_CTL_GET_FREE, _BLKFLSBUF = 0x4C00, 0x4C01, 0x4C82, 0x1261

_IN_HEADER: Final = struct.Struct("<IIQQIIIHH")
_OUT_HEADER: Final = struct.Struct("<IiQ")
_READ_IN: Final = struct.Struct("<QQIIQII")
_GETATTR, _SETATTR, _OPEN, _READ, _WRITE, _STATFS = 3, 4, 14, 15, 16, 17
_RELEASE, _FSYNC, _FLUSH_FILE, _INIT, _DESTROY = 18, 20, 25, 26, 38
_NO_ANSWER: Final = frozenset({2, 36, 42})  # FORGET, INTERRUPT, BATCH_FORGET
_ENOSYS = 38
_MAX_WRITE: Final = 1 << 20
_DIRECT_IO, _BIG_WRITES, _MAX_PAGES = 1, 1 << 5, 1 << 22


def mount(source: str, target: str, kind: str, options: str = "", *, read_only: bool = False) -> None:
    """mount(2). Raises OSError."""
    flags = _MS_NOATIME | (_MS_RDONLY if read_only else 0)
    if _LIBC.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode()):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def unmount(target: str, *, lazily: bool = False) -> None:
    """umount2(2). Raises OSError."""
    for attempt in range(50):
        if not _LIBC.umount2(target.encode(), _MNT_DETACH if lazily else 0):
            return
        if attempt < 49:
            time.sleep(0.01)
    code = ctypes.get_errno()
    raise OSError(code, os.strerror(code), target)


class Loop:
    """A loop device on a file; a context that detaches it."""

    def __init__(self, file: str) -> None:
        backing = os.open(file, os.O_RDWR)
        try:
            for _ in range(100):
                control = os.open("/dev/loop-control", os.O_RDWR)
                number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
                os.close(control)
                self.path = f"/dev/loop{number}"
                if not os.path.exists(self.path):
                    os.mknod(self.path, 0o600 | 0o060000, os.makedev(7, number))
                device = os.open(self.path, os.O_RDWR)
                try:
                    fcntl.ioctl(device, _LOOP_SET_FD, backing)
                    return
                except OSError:
                    continue  # Somebody else took it in between.
                finally:
                    os.close(device)
            raise OSError("no free loop device")
        finally:
            os.close(backing)

    def forget(self) -> None:
        """Drop what the kernel keeps of the device's bytes: the file changed below it."""
        device = os.open(self.path, os.O_RDWR)
        try:
            fcntl.ioctl(device, _BLKFLSBUF)
        finally:
            os.close(device)

    def __enter__(self) -> Loop:
        return self

    def __exit__(self, *exc: object) -> None:
        device = os.open(self.path, os.O_RDWR)
        with contextlib.suppress(OSError):
            fcntl.ioctl(device, _LOOP_CLR_FD)
        os.close(device)


@dataclass
class _Server:
    """Answers the kernel; runs in the child."""

    fuse: int
    control: socket.socket
    content: bytearray
    log: list[Entry]

    def serve(self) -> None:
        while True:
            ready, _, _ = select.select([self.fuse, self.control.fileno()], [], [])
            if self.control.fileno() in ready and not self._obey():
                return
            if self.fuse in ready:
                try:
                    request = os.read(self.fuse, _MAX_WRITE + 4096)
                except OSError:
                    return  # Unmounted.
                self._answer(memoryview(request))

    def _obey(self) -> bool:
        word = self.control.recv(1)
        if word == b"p":
            self.control.sendall(struct.pack("<Q", len(self.log)))
        elif word == b"l":
            answer = pickle.dumps(self.log)
            self.control.sendall(struct.pack("<Q", len(answer)) + answer)
        return word in (b"p", b"l")

    def _answer(self, request: memoryview) -> None:
        _, opcode, unique, _, _, _, _, _, _ = _IN_HEADER.unpack_from(request)
        if opcode in _NO_ANSWER:
            return
        error, body = self._do(opcode, request[_IN_HEADER.size :])
        answer = _OUT_HEADER.pack(_OUT_HEADER.size + len(body), -error, unique) + body
        with contextlib.suppress(OSError):
            os.write(self.fuse, answer)

    def _do(self, opcode: int, body: memoryview) -> tuple[int, bytes]:
        match opcode:
            case 26:  # INIT
                fields = (7, 31, 1 << 17, _BIG_WRITES | _MAX_PAGES, 16, 12, _MAX_WRITE, 1, 256, 0)
                return 0, struct.pack("<IIIIHHIIHH", *fields).ljust(64, b"\0")
            case 3 | 4:  # GETATTR, SETATTR
                size = len(self.content)
                return 0, struct.pack("<QII", 1, 0, 0) + struct.pack(
                    "<6Q10I", 1, size, size // 512, 0, 0, 0, 0, 0, 0, 0o100600, 1, 0, 0, 0, 4096, 0
                )
            case 14:  # OPEN
                return 0, struct.pack("<QII", 1, _DIRECT_IO, 0)
            case 15:  # READ
                _, offset, size, *_ = _READ_IN.unpack_from(body)
                return 0, bytes(self.content[offset : offset + size])
            case 16:  # WRITE
                _, offset, size, *_ = _READ_IN.unpack_from(body)
                written = bytes(body[_READ_IN.size : _READ_IN.size + size])
                self.content[offset : offset + size] = written
                self.log.append((offset, written))
                return 0, struct.pack("<II", size, 0)
            case 17:  # STATFS
                return 0, struct.pack("<5Q10I", 0, 0, 0, 0, 0, 4096, 255, 4096, 0, *[0] * 6)
            case 20:  # FSYNC
                self.log.append((FLUSH, b""))
                return 0, b""
            case 18 | 25 | 38:  # RELEASE, FLUSH (of a descriptor), DESTROY
                return 0, b""
        return _ENOSYS, b""


class BlockFile:
    """A file that logs; a context that unmounts it.

    Args:
        at: an existing plain file; it is covered while the context lasts.
        content: the first bytes of the disk.
    """

    def __init__(self, at: Path, content: bytes) -> None:
        self.path = str(at)
        fuse = os.open("/dev/fuse", os.O_RDWR)
        mine, theirs = socket.socketpair()
        mount(
            "mstore-blockfile",
            self.path,
            "fuse",
            f"fd={fuse},rootmode=100600,user_id=0,group_id=0,allow_other,max_read={_MAX_WRITE}",
        )
        self._pid = os.fork()
        if self._pid == 0:
            mine.close()
            with contextlib.suppress(BaseException):
                _Server(fuse, theirs, bytearray(content), []).serve()
            os._exit(0)
        theirs.close()
        os.close(fuse)
        self._control = mine

    def position(self) -> int:
        """How many entries the log has now."""
        self._control.sendall(b"p")
        (count,) = struct.unpack("<Q", self._control.recv(8, socket.MSG_WAITALL))
        return int(count)

    def log(self) -> list[Entry]:
        """All writes and flushes so far."""
        self._control.sendall(b"l")
        (size,) = struct.unpack("<Q", self._control.recv(8, socket.MSG_WAITALL))
        parts, left = [], size
        while left:
            part = self._control.recv(min(left, 1 << 20))
            parts.append(part)
            left -= len(part)
        return list(pickle.loads(b"".join(parts)))

    def __enter__(self) -> BlockFile:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError):
            unmount(self.path, lazily=True)
        self._control.close()
        time.sleep(0.05)
        with contextlib.suppress(OSError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def format_disk(file_system: str, size_bytes: int, scratch: Path) -> bytes:
    """The bytes of a fresh file system. Raises CalledProcessError, FileNotFoundError."""
    image = scratch / "fresh.img"
    with open(image, "wb") as file:
        file.truncate(size_bytes)
    lines = {
        "ext4": ["mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
        "xfs": ["mkfs.xfs", "-q", "-f"],
        "btrfs": ["mkfs.btrfs", "-q", "-f"],
    }
    subprocess.run([*lines[file_system], str(image)], check=True, capture_output=True)
    content = image.read_bytes()
    image.unlink()
    return content


@contextlib.contextmanager
def mounted(device: str, target: Path, file_system: str, options: str = "") -> Iterator[Path]:
    """A mounted file system."""
    mount(device, str(target), file_system, options)
    try:
        yield target
    finally:
        unmount(str(target))


def why_not() -> str | None:
    """Why no disk of this kind can be had here, or None."""
    if os.geteuid() != 0:
        return "needs root: it mounts file systems"
    for path in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(path):
            return f"needs {path}"
    return None
