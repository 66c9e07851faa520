"""Power cuts on a disk that keeps only what POSIX promises: `python -m tests.proofs.crash.posix`.

Real file systems order more than they must (ext4 writes out all names that came
before with any fsync), and hide a sync that is missing. Here a file has the bytes
of its last fsync and a folder the names of its last fsync, and whatever came later
may have happened or not, each for itself. Needs no root.

Source of the method: Pillai et al., All File Systems Are Not Created Equal, OSDI 2014.
"""

from __future__ import annotations

import argparse
import os
import pickle
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.proofs.crash.explore import Tally, scratch
from tests.proofs.crash.verdict import Scan, fingerprint, judge, look
from tests.proofs.crash.workload import History, play, without
from tests.proofs.faults.shim import stand_around

Call = tuple[Any, ...]
"""A call's name, then inode numbers, names, offsets and bytes."""

_CACHE: Final = ".mstore/cache"


class Recorder:
    """Writes down every mutating call, in terms of inodes."""

    def __init__(self, root: Path) -> None:
        self.calls: list[Call] = []
        self._root = root

    def install(self) -> None:
        """Record from now on, in this process."""
        stand_around(self._root, self._around)

    def _around(
        self, name: str, call: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        where = "dir_fd" if name not in ("rename", "replace", "link") else "src_dir_fd"
        place = args[0]
        if name == "open":
            there = _exists(place, named.get("dir_fd"))
            descriptor = call(*args, **named)
            if not there:
                self._note("create", *_entry(place, named.get("dir_fd")), os.fstat(descriptor).st_ino)
            if args[1] & os.O_TRUNC:
                self._note("size", os.fstat(descriptor).st_ino, 0)
            return descriptor
        if name in ("unlink", "remove", "rmdir"):
            entry = _entry(place, named.get("dir_fd"))
            result = call(*args, **named)
            self._note("unlink", *entry)
            return result
        if name in ("rename", "replace"):
            old, new = _entry(place, named.get(where)), _entry(args[1], named.get("dst_dir_fd"))
            result = call(*args, **named)
            self._note("rename", *old, *new)
            return result
        if name == "write":
            position = os.lseek(place, 0, os.SEEK_CUR)
            if _appends(place):
                position = os.fstat(place).st_size
            written = call(*args, **named)
            self._wrote(place, position, bytes(memoryview(args[1]).cast("B")[:written]))
            return written
        result = call(*args, **named)
        if name == "pwrite":
            self._wrote(place, args[2], bytes(memoryview(args[1]).cast("B")[:result]))
        elif name == "copy_file_range":
            self._wrote(args[1], args[4], os.pread(args[1], result, args[4]))
        elif name in ("fsync", "fdatasync"):
            self._note("fsync", os.fstat(place).st_ino)
        elif name in ("truncate", "ftruncate"):
            number = os.fstat(place).st_ino if isinstance(place, int) else os.stat(place).st_ino
            self._note("size", number, args[1])
        elif name == "mkdir":
            status = os.stat(place, dir_fd=named.get("dir_fd"), follow_symlinks=False)
            self._note("mkdir", *_entry(place, named.get("dir_fd")), status.st_ino)
        elif name == "link":
            self._note("create", *_entry(args[1], named.get("dst_dir_fd")), os.stat(args[1]).st_ino)
        elif name not in ("chmod", "fchmod", "utime"):
            raise AssertionError(f"the recorder does not know {name}")
        return result

    def _wrote(self, descriptor: int, position: int, content: bytes) -> None:
        self._note("write", os.fstat(descriptor).st_ino, position, content)

    def _note(self, *call: Any) -> None:
        self.calls.append(call)


def _exists(path: Any, dir_fd: int | None) -> bool:
    try:
        os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _entry(path: Any, dir_fd: int | None) -> tuple[int, str]:
    """A name: the inode of its folder, and the name in it."""
    folder, name = os.path.split(os.fsdecode(path))
    if folder or dir_fd is None:
        return os.stat(folder or ".", dir_fd=dir_fd).st_ino, name
    return os.fstat(dir_fd).st_ino, name


def _appends(descriptor: int) -> bool:
    import fcntl

    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND)


@dataclass
class _Node:
    """A file or folder: what is on the disk for certain, and what came since, in order."""

    content: bytes = b""
    names: dict[str, int] = field(default_factory=dict)
    since: list[Call] = field(default_factory=list)
    is_folder: bool = False

    def settle(self) -> None:
        """All that came is certain now."""
        for call in self.since:
            self.apply(call)
        self.since.clear()

    def apply(self, call: Call) -> None:
        """Let one thing happen."""
        match call:
            case ("name", name, number):
                self.names[name] = number
            case ("no name", name):
                self.names.pop(name, None)
            case ("write", position, content):
                old = self.content.ljust(position, b"\0")
                self.content = old[:position] + content + old[position + len(content) :]
            case ("size", size):
                self.content = self.content[:size].ljust(size, b"\0")


class Model:
    """A disk that keeps only what it must."""

    def __init__(self, root: int) -> None:
        self._nodes: dict[int, _Node] = {root: _Node(is_folder=True)}
        self._root = root

    def apply(self, call: Call) -> bool:
        """Take in a call; whether more is certain than before."""
        nodes = self._nodes
        match call:
            case ("create" | "mkdir" as what, folder, name, number):
                nodes.setdefault(number, _Node(is_folder=what == "mkdir"))
                nodes[folder].since.append(("name", name, number))
            case ("unlink", folder, name):
                nodes[folder].since.append(("no name", name))
            case ("rename", folder, name, into, new):
                number = self._now(folder)[name]
                nodes[into].since.append(("name", new, number))
                nodes[folder].since.append(("no name", name))
            case ("write", number, position, content):
                nodes[number].since.append(("write", position, content))
            case ("size", number, size):
                nodes[number].since.append(("size", size))
            case ("fsync", number):
                nodes[number].settle()
                return True
        return False

    def _now(self, folder: int) -> dict[str, int]:
        node = _Node(names=dict(self._nodes[folder].names))
        for call in self._nodes[folder].since:
            node.apply(call)
        return node.names

    def write_to(self, root: Path, keeps: Callable[[], bool]) -> None:
        """Make a folder hold what a power cut leaves.

        Args:
            root: an empty folder.
            keeps: asked of each thing that is not certain: whether it happened.
        """
        seen: dict[int, _Node] = {}

        def left(number: int) -> _Node:
            if number not in seen:
                old = self._nodes[number]
                seen[number] = node = _Node(old.content, dict(old.names), [], old.is_folder)
                for call in old.since:
                    if keeps():
                        node.apply(call)
            return seen[number]

        def write(number: int, path: Path) -> None:
            node = left(number)
            if not node.is_folder:
                path.write_bytes(node.content)
                return
            path.mkdir(exist_ok=True)
            for name, inner in node.names.items():
                write(inner, path / name)

        write(self._root, root)


def record(*, control: str = "nothing", rounds: int = 1) -> tuple[list[Call], int, History]:
    """Run the workload in a child; its calls, the root's inode, what was acknowledged."""
    with scratch() as folder:
        root, answer = folder / "root", folder / "answer"
        root.mkdir()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                recorder = Recorder(root)
                recorder.install()
                with without(control):
                    history = play(root, lambda: len(recorder.calls), rounds)
                answer.write_bytes(pickle.dumps((recorder.calls, root.stat().st_ino, history)))
                code = 0
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        assert status == 0, "the workload failed"
        recorded: tuple[list[Call], int, History] = pickle.loads(answer.read_bytes())
        return recorded


def _cuts(calls: list[Call], root: int, history: History) -> Iterator[tuple[int, Model]]:
    """The model after each call that makes something certain, and at each acknowledgement."""
    model = Model(root)
    due = {a.position for a in history.acknowledged}
    for cut, call in enumerate(calls, 1):
        if model.apply(call) or cut in due:
            yield cut, model


def explore(
    *, control: str = "nothing", rounds: int = 1, subsets: int = 1, seed: int = 0, stop: bool = False
) -> Tally:
    """Look at what may be left at each cut: nothing uncertain, all of it, and random parts of it.

    Args:
        control: what is not synced, see `without`.
        rounds: of the workload.
        subsets: random ones at each cut.
        seed: of those.
        stop: at the first violation.
    """
    calls, inode, history = record(control=control, rounds=rounds)
    tally, rng = Tally(), random.Random(seed)
    known: dict[bytes, Scan] = {}
    with scratch() as folder:
        for number, (cut, model) in enumerate(_cuts(calls, inode, history)):
            for choice in range(1 + subsets):
                keeps = (lambda: False) if choice == 0 else (lambda: rng.random() < 0.5)
                root = folder / f"{number}-{choice}"
                root.mkdir()
                model.write_to(root, keeps)
                tally.states += 1
                print_ = fingerprint(root)
                if print_ not in known:
                    tally.trees += 1
                    known[print_] = look(root, history)
                wrong = judge(known[print_], cut, history)
                shutil.rmtree(root)
                if wrong is not None:
                    tally.wrong[wrong] = tally.wrong.get(wrong, 0) + 1
                    if stop:
                        return tally
    return tally


def main() -> int:
    """Explore, and state the figure."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--subsets", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stop", action="store_true", help="at the first violation")
    parser.add_argument("--control", default="nothing", choices=["nothing", "fsync", "directory fsync"])
    arguments = parser.parse_args()
    os.environ["MSTORE_AUTHOR"] = "Ada"
    begun = time.monotonic()
    tally = explore(
        control=arguments.control,
        rounds=arguments.rounds,
        subsets=arguments.subsets,
        seed=arguments.seed,
        stop=arguments.stop,
    )
    for what, count in sorted(tally.wrong.items(), key=lambda item: -item[1])[:20]:
        print(f"{count:6} × {what[:300]}")
    broken = "" if arguments.control == "nothing" else f" without {arguments.control}"
    print(f"POSIX and no more{broken}: {tally} ({time.monotonic() - begun:.0f} s)")
    return int(bool(tally.violations) != (arguments.control != "nothing"))


if __name__ == "__main__":
    sys.exit(main())
