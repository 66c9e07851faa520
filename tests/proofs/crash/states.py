"""From a log of writes and flushes to the disks that a power cut may leave behind.

A cut after n entries: all writes before the last flush are on the disk; of the
later ones any subset is, in units of one page, since nothing orders them.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from xxhash import xxh3_128_intdigest

from tests.proofs.crash.blockfile import FLUSH, Entry

PAGE: Final = 4096
_ZEROS: Final = bytes(PAGE)


@dataclass
class Disk:
    """The bytes of a disk, page by page; pages of zeros are left out.

    Attributes:
        sum: equal for equal disks: the exclusive or of one hash a page.
    """

    pages: dict[int, bytes] = field(default_factory=dict)
    sum: int = 0

    @classmethod
    def of(cls, content: bytes) -> Disk:
        """A disk that holds these bytes."""
        disk = cls()
        disk.write(0, content)
        return disk

    def copy(self) -> Disk:
        """A disk that can change apart from this one."""
        return Disk(dict(self.pages), self.sum)

    def write(self, offset: int, content: bytes) -> None:
        """Put bytes somewhere."""
        position = 0
        while position < len(content):
            number, within = divmod(offset + position, PAGE)
            part = content[position : position + PAGE - within]
            old = self.pages.get(number, _ZEROS)
            new = part if len(part) == PAGE else old[:within] + part + old[within + len(part) :]
            position += len(part)
            if new == old:
                continue
            self.sum ^= self._digest(number, old) ^ self._digest(number, new)
            if new == _ZEROS:
                del self.pages[number]
            else:
                self.pages[number] = new

    @staticmethod
    def _digest(number: int, page: bytes) -> int:
        return 0 if page == _ZEROS else xxh3_128_intdigest(page, number)

    def save(self, descriptor: int, size_bytes: int) -> None:
        """Make a file hold exactly this."""
        os.ftruncate(descriptor, 0)
        os.ftruncate(descriptor, size_bytes)
        run: list[bytes] = []
        begin = -1
        for number in sorted(self.pages):
            if number != begin + len(run) or len(run) == 256:
                if run:
                    os.pwritev(descriptor, run, begin * PAGE)
                run, begin = [], number
            run.append(self.pages[number])
        if run:
            os.pwritev(descriptor, run, begin * PAGE)


@dataclass(frozen=True)
class State:
    """What a power cut leaves.

    Attributes:
        cut: log entries that had been made.
        disk: the bytes; must not be changed.
    """

    cut: int
    disk: Disk


def states(fresh: bytes, log: Sequence[Entry], *, subsets: int, seed: int) -> Iterator[State]:
    """Distinct disks that a power cut may leave, by cut.

    Args:
        fresh: the disk before the log.
        log: its writes and flushes.
        subsets: random subsets of unflushed writes at each cut, beside all and none of them.
        seed: of the choice.
    """
    rng = random.Random(seed)
    flushed = Disk.of(fresh)
    now = flushed.copy()
    pending: list[Entry] = []
    known: set[int] = set()

    def fresh_state(cut: int, disk: Disk) -> Iterator[State]:
        if disk.sum not in known:
            known.add(disk.sum)
            yield State(cut, disk)

    for cut, (offset, content) in enumerate(log, 1):
        if offset == FLUSH:
            # What was written is there from now on.
            flushed, pending = now.copy(), []
        else:
            pending += [(offset + i, content[i : i + PAGE]) for i in range(0, len(content), PAGE)]
            now.write(offset, content)
        yield from fresh_state(cut, now.copy())
        for number in range(subsets if len(pending) > 1 else 0):
            disk = flushed.copy()
            # Some cuts lose little, some nearly all.
            kept = (0.5, 0.9, 0.1)[number % 3]
            for entry in pending:
                if rng.random() < kept:
                    disk.write(*entry)
            yield from fresh_state(cut, disk)
