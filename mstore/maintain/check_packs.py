"""Checking packs from the bytes up: every pack, every block, every id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.codec import BLOCK_HEADER_SIZE
from mstore.errors import Corrupt, NotFound, Unsupported
from mstore.maintain.findings import Findings, Problem
from mstore.store.pack import MAGIC, read_footer
from mstore.store.pack_keys import name_of_key, pack_key

if TYPE_CHECKING:
    from mstore.progress import Progress
    from mstore.store import Store
    from mstore.store.frame import Frame


def check_packs(store: Store, findings: Findings, quick: bool, progress: Progress | None) -> int:
    """Check all packs, and return how many there are."""
    entries = []
    try:
        for entry in store.backend.list("packs"):
            name = name_of_key(entry.key)
            if name is None:
                findings.warnings.append(
                    Problem(entry.key, "is not named like a pack, so nothing reads it")
                )
            else:
                entries.append((name, entry.size_bytes))
    except Corrupt as error:
        findings.problem(error.where, error.rule)
    total, done = sum(size for _, size in entries), 0
    for name, size in entries:
        known = len(findings.problems)
        check_pack_file(store, name, findings, quick=quick)
        if len(findings.problems) > known:
            findings.packs.add(name)
        done += size
        if progress is not None:
            progress("checking", done, total)
    for id in findings.good:
        findings.bad.pop(id, None)
    return len(entries)


def check_pack_file(store: Store, name: bytes, findings: Findings, *, quick: bool = True) -> None:
    """Check one pack, byte for byte: by the sums of what is stored, or by the ids of its objects."""
    where = f"pack {name.hex()[:12]}"
    try:
        expected_size, frames = read_footer(store.backend, name)
    except (Corrupt, Unsupported) as error:
        findings.problem(where, getattr(error, "rule", str(error)))
        return
    except KeyError:
        return
    size = store.backend.size(pack_key(name))
    if expected_size != size:
        findings.problem(where, f"has {size} bytes where its footer accounts for {expected_size}")
    if store.backend.get(pack_key(name), size=8) != MAGIC:
        findings.problem(where, "does not begin with a pack's magic")
    position = 8
    for index, frame in enumerate(frames):
        findings.objects += 1
        if frame.offset != position:
            findings.problem(where, f"frame {index} does not begin where the one before it ends")
        position = frame.offset + frame.stored_size
        if not _check_frame(store, name, frame, findings, quick):
            return
        findings.bytes_read += frame.stored_size + BLOCK_HEADER_SIZE


def _check_frame(store: Store, name: bytes, frame: Frame, findings: Findings, quick: bool) -> bool:
    """Check the object in a frame; False if its pack was removed meanwhile."""
    where, id = f"pack {name.hex()[:12]}", frame.head.id
    try:
        reader = store.reader_of(name, frame)
        reader.check_frame_start()
        if quick:
            for block in range(len(frame.blocks)):
                reader.stored_block(block)
        else:
            reader.check_id()
        findings.good.add(id)
    except (Corrupt, Unsupported, NotFound) as error:
        rule = error.rule if isinstance(error, Corrupt) else error.message
        inside = error.where if isinstance(error, Corrupt) else where
        findings.problem(inside, rule)
        findings.bad.setdefault(id, rule)
    except KeyError:
        findings.problem(where, "vanished while it was checked")
        return False
    return True
