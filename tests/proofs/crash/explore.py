"""Every state of the disk after a power cut, mounted and looked at.

Run as `python -m tests.proofs.crash.explore`.
"""

from __future__ import annotations

import argparse
import os
import pickle
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from tests.proofs.crash.blockfile import (
    BlockFile,
    Entry,
    Loop,
    format_disk,
    mounted,
    why_not,
)
from tests.proofs.crash.states import State, states
from tests.proofs.crash.verdict import Scan, fingerprint, judge, look
from tests.proofs.crash.workload import History, play, without

SIZES: Final = {"ext4": 32 << 20, "xfs": 320 << 20, "btrfs": 128 << 20}
# Copies of one disk have one identity: xfs can be told to ignore that, btrfs cannot.
_MOUNT_OPTIONS: Final = {"xfs": "nouuid"}
_ALONE: Final = frozenset({"btrfs"})


@dataclass(frozen=True)
class Recording:
    """A run of a workload and what it wrote.

    Attributes:
        look: asks what a disk holds; it is a function of a module, so that it can be pickled.
    """

    file_system: str
    fresh: bytes
    log: list[Entry]
    history: History
    look: Callable[[Path, History], Scan] = look


@dataclass
class Tally:
    """What an exploration found."""

    states: int = 0
    trees: int = 0
    wrong: dict[str, int] = field(default_factory=dict)

    @property
    def violations(self) -> int:
        """States in which something acknowledged is lost or torn."""
        return sum(self.wrong.values())

    def add(self, other: Tally) -> None:
        """Take in another's."""
        self.states += other.states
        self.trees += other.trees
        for what, count in other.wrong.items():
            self.wrong[what] = self.wrong.get(what, 0) + count

    def __str__(self) -> str:
        lost = sum(n for what, n in self.wrong.items() if what.startswith("lost"))
        torn = self.violations - lost
        return (
            f"crash states checked: {self.states:,} ({self.trees:,} different trees);"
            f" acknowledged lost: {lost:,}; torn: {torn:,}"
        )


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder in memory."""
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="mstore-crash-", dir=where))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def record(
    file_system: str,
    *,
    control: str = "nothing",
    options: str = "",
    rounds: int = 1,
    run: Callable[[Path, Callable[[], int], int], History] = play,
    look: Callable[[Path, History], Scan] = look,
) -> Recording:
    """Run a workload on a fresh disk that logs."""
    with scratch() as folder:
        fresh = format_disk(file_system, SIZES[file_system], folder)
        disk, target = folder / "disk", folder / "mnt"
        disk.touch()
        target.mkdir()
        with BlockFile(disk, fresh) as file, Loop(str(disk)) as loop, without(control):
            with mounted(loop.path, target, file_system, options):
                history = run(target, file.position, rounds)
                end = file.position()
            log = file.log()[:end]
    return Recording(file_system, fresh, log, history, look)


class Bench:
    """A disk of its own on which states are looked at, one after the other."""

    def __init__(self, recording: Recording, folder: Path) -> None:
        self._recording = recording
        self._target = folder / "mnt"
        self._target.mkdir()
        image = folder / "image"
        self._size = len(recording.fresh)
        self._image = os.open(image, os.O_RDWR | os.O_CREAT)
        os.ftruncate(self._image, self._size)
        self._loop = Loop(str(image))
        self._known: dict[bytes, Scan] = {}

    def close(self) -> None:
        """Give the loop device back."""
        self._loop.__exit__()
        os.close(self._image)

    def check(self, state: State, tally: Tally) -> None:
        """Mount a state, look at it, count."""
        state.disk.save(self._image, self._size)
        self._loop.forget()
        tally.states += 1
        kind = self._recording.file_system
        try:
            with mounted(self._loop.path, self._target, kind, _MOUNT_OPTIONS.get(kind, "")):
                print_ = fingerprint(self._target)
                if print_ not in self._known:
                    tally.trees += 1
                    self._known[print_] = self._recording.look(self._target, self._recording.history)
            wrong = judge(self._known[print_], state.cut, self._recording.history)
        except OSError as error:
            wrong = f"cannot be mounted or read: {error}"
        if wrong is not None:
            tally.wrong[wrong] = tally.wrong.get(wrong, 0) + 1


def _explore(
    file: str, part: int, parts: int, subsets: int, limit: int, every: int, seed: int, stop: bool
) -> Tally:
    recording: Recording = pickle.loads(Path(file).read_bytes())
    tally = Tally()
    with scratch() as folder:
        bench = Bench(recording, folder)
        try:
            found = states(recording.fresh, recording.log, subsets=subsets, seed=seed)
            end = limit * every if limit else None
            for state in islice(found, part * every, end, parts * every):
                bench.check(state, tally)
                if stop and tally.wrong:
                    break
        finally:
            bench.close()
    return tally


def explore(
    recording: Recording,
    *,
    subsets: int,
    limit: int = 0,
    every: int = 1,
    workers: int = 1,
    seed: int = 0,
    stop: bool = False,
) -> Tally:
    """Look at the states of a recording.

    Args:
        recording: the run.
        subsets: random subsets of unflushed writes at each cut.
        limit: at most so many states; 0: all.
        every: one state in so many.
        workers: processes, each with a disk of its own.
        seed: of the subsets.
        stop: at the first violation.
    """
    tally = Tally()
    workers = 1 if recording.file_system in _ALONE else workers
    with scratch() as folder:
        file = folder / "recording"
        file.write_bytes(pickle.dumps(recording))
        with ProcessPoolExecutor(workers, get_context("fork")) as pool:
            parts = [
                pool.submit(_explore, str(file), part, workers, subsets, limit, every, seed, stop)
                for part in range(workers)
            ]
            for part_done in parts:
                tally.add(part_done.result())
    return tally


def main() -> int:
    """Explore, state the figure, and show that the harness sees what it should."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--file-system", default="ext4", choices=sorted(SIZES))
    parser.add_argument("--options", default="", help="mount options of the run")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--subsets", type=int, default=24)
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--control", default="nothing", choices=["nothing", "fsync", "directory fsync"])
    parser.add_argument("--stop", action="store_true", help="at the first violation")
    arguments = parser.parse_args()
    reason = why_not()
    if reason is not None:
        print(f"skipped: {reason}")
        return 0
    os.environ["MSTORE_AUTHOR"] = "Ada"
    begun = time.monotonic()
    recording = record(
        arguments.file_system,
        control=arguments.control,
        options=arguments.options,
        rounds=arguments.rounds,
    )
    tally = explore(
        recording,
        subsets=arguments.subsets,
        limit=arguments.limit,
        every=arguments.every,
        workers=arguments.workers,
        seed=arguments.seed,
        stop=arguments.stop,
    )
    for what, count in sorted(tally.wrong.items(), key=lambda item: -item[1])[:20]:
        print(f"{count:6} × {what[:300]}")
    broken = "" if arguments.control == "nothing" else f" without {arguments.control}"
    print(
        f"{arguments.file_system}{broken}: {tally} ({len(recording.log):,} writes and flushes,"
        f" {len(recording.history.acknowledged)} acknowledgements, {time.monotonic() - begun:.0f} s)"
    )
    return int(bool(tally.violations) != (arguments.control != "nothing"))


if __name__ == "__main__":
    sys.exit(main())
