"""The grouped difference: mode 18 (docs/format.md section 6.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mstore.codec.twin.bits import BitReader, BitWriter, OutOfBits
from mstore.codec.twin.elements import (
    check_base,
    difference,
    elements_of,
    joined,
    planes_of,
    undone,
)
from mstore.codec.twin.rans import CodedReader, encode_segments, lanes_log2_for
from mstore.codec.twin.tables import (
    count_symbols,
    expected_bits,
    normalised,
    read_table,
    write_table,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

_KEYS: Final = 256
_MAX_GROUPS: Final = 64
_RAW, _REPEATED, _TABLE = 0, 1, 2


def _keys(other: Any, shift: int, *, ordered: bool) -> Any:
    kind = other.dtype.type
    return ((other << kind(1) if ordered else other) >> kind(shift)).astype(np.uint8)


# ---------------------------------------------------------------- encoding


@dataclass(frozen=True, slots=True)
class _Group:
    """A range of keys that share tables; `counts` has a row for each plane."""

    last_key: int
    begin: int
    size: int
    counts: Any

    @property
    def cost(self) -> int:
        """Bits that the group is expected to take."""
        return sum(expected_bits(row, self.size) for row in self.counts)


def _make_groups(planes: Any, totals: Any) -> list[_Group]:
    """Let neighbouring keys share tables where tables of their own would cost more than they save."""
    groups: list[_Group] = []
    costs: list[int] = []
    at = 0
    for key in np.flatnonzero(totals).tolist():
        size = int(totals[key])
        counts = np.stack([count_symbols(plane[at : at + size]) for plane in planes])
        group = _Group(key, at, size, counts)
        cost = group.cost
        at += size
        if groups:
            last = groups[-1]
            both = _Group(key, last.begin, last.size + size, last.counts + counts)
            cost_of_both = both.cost
            if len(groups) == _MAX_GROUPS or cost_of_both <= cost + costs[-1]:
                groups[-1], costs[-1] = both, cost_of_both
                continue
        groups.append(group)
        costs.append(cost)
    return groups


def _write_groups(planes: Any, groups: list[_Group]) -> list[bytes]:
    """Code each group's stretch of each plane: codings and tables, ranged symbols, raw stretches."""
    writer = BitWriter()
    segments: list[tuple[Any, Any]] = []
    raw: list[bytes] = []
    for j, plane in enumerate(planes):
        for group in groups:
            symbols, counts = plane[group.begin : group.begin + group.size], group.counts[j]
            first, bits = int(symbols[0]), 8 * group.size
            if counts[first] == group.size:
                writer.put(_REPEATED, 2)
                writer.put(first, 8)
            elif expected_bits(counts, group.size) < bits - (bits >> 6):
                freq = normalised(counts, group.size)
                writer.put(_TABLE, 2)
                write_table(writer, freq)
                segments.append((symbols, freq))
            else:
                writer.put(_RAW, 2)
                raw.append(symbols.tobytes())
    total = sum(len(symbols) for symbols, _ in segments)
    coded = encode_segments(segments, lanes_log2_for(total)) if segments else b""
    return [writer.taken(), coded, *raw]


def encode_grouped(raw: Buffer, base: Buffer, width: int, ordered: bool, shift: int) -> bytes | None:
    """Code a grouped difference; None if it would be no smaller than the block."""
    check_base(raw, base)
    own = elements_of(raw, width)
    if not 0 <= shift < 8 * width:
        raise ValueError("the shift is not within an element")
    if not len(own):
        return None
    other = elements_of(base, width)[: len(own)]
    keys = _keys(other, shift, ordered=ordered)
    order = np.argsort(keys, kind="stable")
    planes = planes_of(difference(own, other, ordered=ordered, orient=ordered)[order])
    groups = _make_groups(planes, np.bincount(keys, minlength=_KEYS))
    head = bytes([ordered, shift, len(groups) - 1, *(group.last_key for group in groups[:-1])])
    rest = bytes(memoryview(raw).cast("B")[len(own) * width :])
    stored = b"".join([head, *_write_groups(planes, groups), rest])
    return stored if len(stored) <= memoryview(raw).nbytes else None


# ---------------------------------------------------------------- decoding


@dataclass(frozen=True, slots=True)
class _Stretch:
    """One group's part of one plane: its coding, and the symbol or the table that goes with it."""

    coding: int
    symbol_or_table: Any
    size: int


def _group_sizes(keys: Any, last_keys: memoryview) -> list[int] | None:
    """Count the elements of each group; None if the last keys do not ascend."""
    ends = [key + 1 for key in last_keys] + [_KEYS]
    begins = [0, *ends[:-1]]
    if any(end <= begin for begin, end in zip(begins, ends, strict=True)):
        return None
    before = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=_KEYS))]).tolist()
    return [before[end] - before[begin] for begin, end in zip(begins, ends, strict=True)]


def _read_stretches(reader: BitReader, width: int, sizes: list[int]) -> list[_Stretch] | None:
    """Read the coding of each group's part of each plane; None if one does not exist."""
    stretches = []
    try:
        for size in sizes * width:
            coding = reader.get(2)
            what = reader.get(8) if coding == _REPEATED else None
            if coding == _TABLE:
                what = read_table(reader)
            if coding > _TABLE or (coding == _TABLE and what is None):
                return None
            stretches.append(_Stretch(coding, what, size))
    except OutOfBits:
        return None
    return stretches


def _read_planes(stretches: list[_Stretch], ranged: memoryview, raw: Any) -> Any:
    """Decode all planes, one after the other; None if the bytes do not give them."""
    coded = None
    if any(s.coding == _TABLE and s.size for s in stretches):
        coded = CodedReader(ranged)
        if not coded.valid:
            return None
    elif len(ranged):
        return None
    planes = np.empty(sum(s.size for s in stretches), np.uint8)
    at = taken = 0
    for stretch in stretches:
        here = planes[at : at + stretch.size]
        if stretch.coding == _RAW:
            here[:] = raw[taken : taken + stretch.size]
            taken += stretch.size
        elif stretch.coding == _REPEATED:
            here[:] = stretch.symbol_or_table
        elif coded is not None and not coded.read(stretch.symbol_or_table, here):
            return None
        at += stretch.size
    return planes if coded is None or coded.ended_well() else None


def decode_grouped(stored: Buffer, base: Buffer, width: int, out: Buffer) -> bool:
    """Undo a grouped difference into `out`; False if the bytes are none."""
    check_base(out, base)
    own, view = elements_of(out, width), memoryview(stored).cast("B")
    m = len(own)
    if not m or len(view) < 3 or view[0] > 1 or view[1] >= 8 * width or view[2] >= _MAX_GROUPS:
        return False
    ordered, shift, group_count = bool(view[0]), view[1], view[2] + 1
    if len(view) < 2 + group_count:
        return False
    other = elements_of(base, width)[:m]
    keys = _keys(other, shift, ordered=ordered)
    sizes = _group_sizes(keys, view[3 : 2 + group_count])
    if sizes is None:
        return False
    reader = BitReader(view[2 + group_count :])
    stretches = _read_stretches(reader, width, sizes)
    left = reader.rest() if stretches is not None else None
    if stretches is None or left is None:
        return False
    raw_size = sum(s.size for s in stretches if s.coding == _RAW)
    rest_size = memoryview(out).nbytes - m * width
    ranged_size = len(left) - raw_size - rest_size
    if ranged_size < 0:
        return False
    raw = np.frombuffer(left[ranged_size:], np.uint8)
    planes = _read_planes(stretches, left[:ranged_size], raw)
    if planes is None:
        return False
    differences = np.empty_like(own)
    differences[np.argsort(keys, kind="stable")] = joined(planes.reshape(width, m), width)
    own[:] = undone(differences, other, ordered=ordered, orient=ordered)
    elements_of(out, 1)[m * width :] = raw[raw_size:]
    return True
