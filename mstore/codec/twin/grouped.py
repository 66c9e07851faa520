"""The kernel's functions in numpy: byte for byte what `_kernel` gives, some hundred times slower.

Takes over where no C compiler was at hand. Hides nothing of its own: names, arguments and results
are those of the C module, and docs/format.md section 6 says what the bytes mean. Buffers are told
apart from damage: those that do not belong together are a ValueError, stored bytes that mean
nothing are False.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from typing_extensions import Buffer

_KEYS: Final = 256
_MAX_GROUPS: Final = 64
_SCALE_BITS: Final = 12
_SCALE: Final = 1 << _SCALE_BITS
_MAX_LANES_LOG2: Final = 6
_STATE_LOW: Final = 1 << 16
_RAW, _REPEATED, _TABLE = 0, 1, 2
_WINDOWS, _WINDOW = 8, 512


def allocate(size: int) -> bytearray:
    """A bytearray of that size."""
    return bytearray(size)


def equal(a: Buffer, b: Buffer) -> bool:
    """Whether two buffers hold the same bytes."""
    return np.array_equal(_elements(a, 1), _elements(b, 1))


# ---------------------------------------------------------------- elements


def _elements(raw: Buffer, width: int) -> Any:
    if width not in (1, 2, 4, 8):
        raise ValueError("an element has 1, 2, 4 or 8 bytes")
    view = memoryview(raw).cast("B")
    return np.frombuffer(view, f"<u{width}", count=len(view) // width)


def _sign(elements: Any) -> Any:
    """All bits set where the top bit is."""
    kind, bits = elements.dtype.type, 8 * elements.dtype.itemsize
    return kind(0) - (elements >> kind(bits - 1))


def _ordered(elements: Any) -> Any:
    """Sign-magnitude bit patterns as unsigned integers in numeric order."""
    kind, bits = elements.dtype.type, 8 * elements.dtype.itemsize
    return elements ^ (_sign(elements) | kind(1 << (bits - 1)))


def _unordered(ordered: Any) -> Any:
    kind, bits = ordered.dtype.type, 8 * ordered.dtype.itemsize
    return ordered ^ (_sign(~ordered) | kind(1 << (bits - 1)))


def _difference(own: Any, other: Any, *, ordered: bool, orient: bool) -> Any:
    d = _ordered(own) - _ordered(other) if ordered else own - other
    if orient:
        turn = _sign(other)
        d = (d ^ turn) - turn
    return (d << d.dtype.type(1)) ^ _sign(d)


def _undo(coded: Any, other: Any, *, ordered: bool, orient: bool) -> Any:
    kind = coded.dtype.type
    d = (coded >> kind(1)) ^ (kind(0) - (coded & kind(1)))
    if orient:
        turn = _sign(other)
        d = (d ^ turn) - turn
    return _unordered(_ordered(other) + d) if ordered else other + d


def _rotated(elements: Any, *, left: bool) -> Any:
    kind, bits = elements.dtype.type, 8 * elements.dtype.itemsize
    near, far = kind(1), kind(bits - 1)
    if left:
        return (elements << near) | (elements >> far)
    return (elements >> near) | (elements << far)


def _planes(elements: Any) -> Any:
    return np.ascontiguousarray(elements.view(np.uint8).reshape(-1, elements.dtype.itemsize).T)


def _joined(planes: Any, width: int) -> Any:
    return np.ascontiguousarray(planes.T).view(f"<u{width}").reshape(-1)


def split(raw: Buffer, base: Buffer | None, width: int, how: bool, planes: Buffer) -> None:
    """Byte planes of the elements (rotated, if `how`) or of their differences (ordered, if `how`)."""
    elements = _elements(raw, width)
    out = _elements(planes, 1)
    short = base is not None and memoryview(base).nbytes < memoryview(raw).nbytes
    if short or len(out) != len(elements) * width:
        raise ValueError("the buffers do not have the sizes that belong together")
    if base is not None:
        other = _elements(base, width)[: len(elements)]
        elements = _difference(elements, other, ordered=how, orient=False)
    elif how:
        elements = _rotated(elements, left=True)
    out[:] = _planes(elements).reshape(-1)


def join(planes: tuple[Buffer, ...], base: Buffer | None, how: bool, out: Buffer) -> None:
    """The way back into `out`, whose rest bytes stay as they are."""
    width = len(planes)
    own = _elements(out, width)
    short = base is not None and memoryview(base).nbytes < memoryview(out).nbytes
    if short or any(memoryview(plane).nbytes != len(own) for plane in planes):
        raise ValueError("the buffers do not have the sizes that belong together")
    elements = _joined(np.stack([_elements(plane, 1) for plane in planes]), width)
    if base is not None:
        elements = _undo(elements, _elements(base, width)[: len(own)], ordered=how, orient=False)
    elif how:
        elements = _rotated(elements, left=False)
    own[:] = elements


# ---------------------------------------------------------------- bits


class _BitWriter:
    def __init__(self) -> None:
        self._bits: list[str] = []

    def put(self, value: int, count: int) -> None:
        if count:
            self._bits.append(f"{value:0{count}b}"[::-1])

    def taken(self) -> bytes:
        bits = "".join(self._bits)
        return int(bits[::-1] or "0", 2).to_bytes((len(bits) + 7) // 8, "little")


class _OutOfBits(Exception):
    pass


class _BitReader:
    """Bits from the lowest one up; a read past the end raises `_OutOfBits`."""

    def __init__(self, stored: memoryview) -> None:
        self._stored = stored
        self._at = 0
        self._held = 0
        self._bits = 0

    def get(self, count: int) -> int:
        while self._held < count:
            if self._at == len(self._stored):
                raise _OutOfBits
            self._bits |= self._stored[self._at] << self._held
            self._at += 1
            self._held += 8
        value = self._bits & ((1 << count) - 1)
        self._bits >>= count
        self._held -= count
        return value

    def rest(self) -> memoryview | None:
        """What follows the byte that was begun; None if that byte has further bits set."""
        return None if self._bits else self._stored[self._at :]


# ---------------------------------------------------------------- tables of frequencies


@cache
def _log_table() -> Any:
    """256 × log2(1 + i / 2048), rounded down, by repeated squaring."""
    table = []
    for i in range(2048):
        x, log = (2048 + i) << 20, 0
        for _ in range(8):
            x = (x * x) >> 31
            log <<= 1
            if x >> 32:
                log |= 1
                x >>= 1
        table.append(log)
    return np.array(table, np.int64)


def _weighed(counts: Any) -> int:
    """Σ count × 256 × log2 of the count, from its twelve leading bits."""
    counts = counts[counts > 0]
    if not len(counts):
        return 0
    e = np.frexp(counts.astype(np.float64))[1].astype(np.int64) - 1
    lead = np.where(e <= 11, counts << np.maximum(11 - e, 0), counts >> np.maximum(e - 11, 0))
    return int((counts * ((e << 8) + _log_table()[lead & 2047])).sum())


def _entropy_bits(counts: Any, n: int) -> int:
    return max(_weighed(np.array([n])) - _weighed(counts), 0) >> 8


def _expected_bits(counts: Any, n: int) -> int:
    """Bits that these symbols are expected to cost, with their table, at most raw."""
    if not n:
        return 0
    used = int(np.count_nonzero(counts))
    if used == 1:
        return 10
    return min(_entropy_bits(counts, n) + 8 * used + 16, 8 * n)


def _count(plane: Any) -> Any:
    return np.bincount(plane, minlength=256)


def _normalised(counts: Any, n: int) -> Any:
    freq = np.where(counts > 0, np.maximum((counts * _SCALE + n // 2) // n, 1), 0)
    left = _SCALE - int(freq.sum())
    while left:
        top = int(freq.argmax())
        change = left if left > 0 else -min((int(freq[top]) >> 4) + 1, -left)
        freq[top] += change
        left -= change
    return freq


def _write_table(writer: _BitWriter, freq: Any) -> None:
    values, s = freq.tolist(), 0
    while s < len(values):
        run = 0
        while s + run < len(values) and not values[s + run]:
            run += 1
        if run >= 3:
            writer.put(13, 4)
            writer.put(run - 1, 8)
            s += run
            continue
        size = values[s].bit_length()
        writer.put(size, 4)
        if size > 1:
            writer.put(values[s] - (1 << (size - 1)), size - 1)
        s += 1


def _read_table(reader: _BitReader) -> Any:
    """Frequencies, or None if the stored ones are not of sum 4096 over two symbols or more."""
    freq: list[int] = []
    while len(freq) < 256:
        size = reader.get(4)
        if size > 13:
            return None
        if size == 13:
            freq += [0] * (reader.get(8) + 1)
        else:
            freq.append(1 << (size - 1) | reader.get(size - 1) if size > 1 else size)
    if len(freq) > 256 or sum(freq) != _SCALE or max(freq) == _SCALE:
        return None
    return np.array(freq, np.uint64)


# ---------------------------------------------------------------- the entropy coder


def _lanes_log2_for(n: int) -> int:
    return 6 if n >= 16384 else 4 if n >= 2048 else 2 if n >= 128 else 0


def _encode_segments(segments: list[tuple[Any, Any]], lanes_log2: int) -> bytes:
    """Lanes, states and words of (symbols, frequencies), coded from the last step to the first."""
    lanes = 1 << lanes_log2
    x = np.full(lanes, _STATE_LOW, np.uint64)
    low, bits, sixteen = np.uint64(0xFFFF), np.uint64(_SCALE_BITS), np.uint64(16)
    words: list[Any] = []
    for symbols, counts in reversed(segments):
        freq = counts.astype(np.uint64)
        f = freq[symbols]
        begin = (np.cumsum(freq) - freq)[symbols]
        limit = f << np.uint64(20)
        for at in range((len(symbols) - 1) // lanes * lanes, -1, -lanes):
            here = f[at : at + lanes]
            now = x[: len(here)]
            emit = now >= limit[at : at + lanes]
            if emit.any():
                words.append(now[emit] & low)
                now = np.where(emit, now >> sixteen, now)
            q, r = np.divmod(now, here)
            x[: len(here)] = (q << bits) + r + begin[at : at + lanes]
    words.reverse()
    coded = np.concatenate(words).astype("<u2").tobytes() if words else b""
    return bytes([lanes_log2]) + x.astype("<u4").tobytes() + coded


class _Coded:
    """Lanes, states and words being read."""

    def __init__(self, stored: memoryview) -> None:
        self.valid = bool(len(stored)) and stored[0] <= _MAX_LANES_LOG2
        if not self.valid:
            return
        self._lanes = 1 << stored[0]
        states = 1 + 4 * self._lanes
        self.valid = len(stored) >= states and (len(stored) - states) % 2 == 0
        if self.valid:
            self._x = np.frombuffer(stored[1:states], "<u4").astype(np.uint64)
            self._words = np.frombuffer(stored[states:], "<u2").astype(np.uint64)
            self._at = 0

    def read(self, freq: Any, out: Any) -> bool:
        symbol_of = np.repeat(np.arange(256, dtype=np.uint8), freq.astype(np.int64))
        f = freq[symbol_of]
        bias = np.arange(_SCALE, dtype=np.uint64) - (np.cumsum(freq) - freq)[symbol_of]
        slots, bits, sixteen = np.uint64(_SCALE - 1), np.uint64(_SCALE_BITS), np.uint64(16)
        low = np.uint64(_STATE_LOW)
        for at in range(0, len(out), self._lanes):
            here = out[at : at + self._lanes]
            x = self._x[: len(here)]
            slot = x & slots
            here[:] = symbol_of[slot]
            x = f[slot] * (x >> bits) + bias[slot]
            need = x < low
            count = int(np.count_nonzero(need))
            if count:
                if self._at + count > len(self._words):
                    return False
                x[need] = (x[need] << sixteen) | self._words[self._at : self._at + count]
                self._at += count
            self._x[: len(here)] = x
        return True

    def ended_well(self) -> bool:
        return self._at == len(self._words) and bool((self._x == _STATE_LOW).all())


# ---------------------------------------------------------------- one plane


def encode_plane(plane: Buffer) -> bytes | None:
    """A coded plane; its one byte if all are equal; None if it is to stay raw."""
    symbols = _elements(plane, 1)
    n = len(symbols)
    counts = _count(symbols)
    if n and counts[symbols[0]] == n:
        return bytes(symbols[:1])
    if _expected_bits(counts, n) >= 8 * n - (n >> 3):
        return None
    writer, freq = _BitWriter(), _normalised(counts, n)
    _write_table(writer, freq)
    coded = writer.taken() + _encode_segments([(symbols, freq)], _lanes_log2_for(n))
    return coded if len(coded) < n else None


def decode_plane(stored: Buffer, out: Buffer) -> bool:
    """Whether the bytes are a coded plane of the size of `out`, which then holds it."""
    reader = _BitReader(memoryview(stored).cast("B"))
    try:
        freq = _read_table(reader)
    except _OutOfBits:
        return False
    rest = reader.rest()
    if freq is None or rest is None:
        return False
    coded = _Coded(rest)
    return coded.valid and coded.read(freq, _elements(out, 1)) and coded.ended_well()


# ---------------------------------------------------------------- grouped difference


def _keys(other: Any, shift: int, *, ordered: bool) -> Any:
    kind = other.dtype.type
    return ((other << kind(1) if ordered else other) >> kind(shift)).astype(np.uint8)


def _check_base(raw: Buffer, base: Buffer) -> None:
    if memoryview(base).nbytes < memoryview(raw).nbytes:
        raise ValueError("the buffers do not have the sizes that belong together")


def _make_groups(planes: Any, totals: Any) -> list[tuple[int, int, int, Any]]:
    """(last key, begin, elements, counts by plane): neighbours share tables where that is cheaper."""

    def cost(counts: Any, n: int) -> int:
        return sum(_expected_bits(row, n) for row in counts)

    groups: list[tuple[int, int, int, Any]] = []
    costs: list[int] = []
    at = 0
    for key in np.flatnonzero(totals).tolist():
        n = int(totals[key])
        counts = np.stack([_count(plane[at : at + n]) for plane in planes])
        own = cost(counts, n)
        if groups:
            _, begin, before, earlier = groups[-1]
            both = cost(counts + earlier, n + before)
            if len(groups) == _MAX_GROUPS or both <= own + costs[-1]:
                groups[-1], costs[-1] = (key, begin, n + before, counts + earlier), both
                at += n
                continue
        groups.append((key, at, n, counts))
        costs.append(own)
        at += n
    return groups


def encode_grouped(raw: Buffer, base: Buffer, width: int, ordered: bool, shift: int) -> bytes | None:
    """A grouped difference, or None if it would be no smaller than what it codes."""
    _check_base(raw, base)
    own = _elements(raw, width)
    if not 0 <= shift < 8 * width:
        raise ValueError("the shift is not within an element")
    if not len(own):
        return None
    other = _elements(base, width)[: len(own)]
    keys = _keys(other, shift, ordered=ordered)
    order = np.argsort(keys, kind="stable")
    planes = _planes(_difference(own, other, ordered=ordered, orient=ordered)[order])
    groups = _make_groups(planes, np.bincount(keys, minlength=_KEYS))
    writer = _BitWriter()
    segments: list[tuple[Any, Any]] = []
    plain: list[bytes] = []
    for j, plane in enumerate(planes):
        for _, begin, n, counts in groups:
            symbols = plane[begin : begin + n]
            first = int(symbols[0])
            if counts[j][first] == n:
                writer.put(_REPEATED, 2)
                writer.put(first, 8)
            elif _expected_bits(counts[j], n) < 8 * n - (8 * n >> 6):
                freq = _normalised(counts[j], n)
                writer.put(_TABLE, 2)
                _write_table(writer, freq)
                segments.append((symbols, freq))
            else:
                writer.put(_RAW, 2)
                plain.append(symbols.tobytes())
    head = bytes([ordered, shift, len(groups) - 1, *(last for last, *_ in groups[:-1])])
    total = sum(len(symbols) for symbols, _ in segments)
    coded = _encode_segments(segments, _lanes_log2_for(total)) if segments else b""
    rest = bytes(memoryview(raw).cast("B")[len(own) * width :])
    stored = b"".join([head, writer.taken(), coded, *plain, rest])
    return stored if len(stored) <= memoryview(raw).nbytes else None


def decode_grouped(stored: Buffer, base: Buffer, width: int, out: Buffer) -> bool:
    """Whether the bytes are a grouped difference to the base, which `out` then holds undone."""
    _check_base(out, base)
    own, view = _elements(out, width), memoryview(stored).cast("B")
    m = len(own)
    if not m or len(view) < 3 or view[0] > 1 or view[1] >= 8 * width or view[2] >= _MAX_GROUPS:
        return False
    ordered, shift, group_count = bool(view[0]), view[1], view[2] + 1
    if len(view) < 2 + group_count:
        return False
    other = _elements(base, width)[:m]
    keys = _keys(other, shift, ordered=ordered)
    ends = [key + 1 for key in view[3 : 2 + group_count]] + [_KEYS]
    begins = [0, *ends[:-1]]
    if any(end <= begin for begin, end in zip(begins, ends, strict=True)):
        return False
    before = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=_KEYS))]).tolist()
    sizes = [before[end] - before[begin] for begin, end in zip(begins, ends, strict=True)]
    reader = _BitReader(view[2 + group_count :])
    codings: list[tuple[int, Any, int]] = []
    try:
        for _ in range(width):
            for n in sizes:
                coding = reader.get(2)
                what = reader.get(8) if coding == _REPEATED else None
                if coding == _TABLE:
                    what = _read_table(reader)
                if coding > _TABLE or (coding == _TABLE and what is None):
                    return False
                codings.append((coding, what, n))
    except _OutOfBits:
        return False
    left = reader.rest()
    plain_size = sum(n for coding, _, n in codings if coding == _RAW)
    rest_size = memoryview(out).nbytes - m * width
    if left is None or len(left) < plain_size + rest_size:
        return False
    words_end = len(left) - plain_size - rest_size
    plain, coded = np.frombuffer(left[words_end:], np.uint8), None
    if any(coding == _TABLE and n for coding, _, n in codings):
        coded = _Coded(left[:words_end])
        if not coded.valid:
            return False
    elif words_end:
        return False
    planes, at, taken = np.empty(m * width, np.uint8), 0, 0
    for coding, what, n in codings:
        here = planes[at : at + n]
        if coding == _RAW:
            here[:] = plain[taken : taken + n]
            taken += n
        elif coding == _REPEATED:
            here[:] = what
        elif coded is not None and not coded.read(what, here):
            return False
        at += n
    if coded is not None and not coded.ended_well():
        return False
    sorted_ = _joined(planes.reshape(width, m), width)
    differences = np.empty_like(sorted_)
    differences[np.argsort(keys, kind="stable")] = sorted_
    own[:] = _undo(differences, other, ordered=ordered, orient=ordered)
    if rest_size:
        _elements(out, 1)[m * width :] = plain[taken:]
    return True


# ---------------------------------------------------------------- sparse


def encode_sparse(raw: Buffer, base: Buffer, width: int) -> bytes | None:
    """Gap and value of each element that differs, or None if they are too many."""
    _check_base(raw, base)
    own = _elements(raw, width)
    differing = own != _elements(base, width)[: len(own)]
    if len(own) > 4 * _WINDOWS * _WINDOW:
        step = (len(own) - _WINDOW) // (_WINDOWS - 1)
        sample = sum(np.count_nonzero(differing[i * step :][:_WINDOW]) for i in range(_WINDOWS))
        if sample > _WINDOWS * _WINDOW // 32:
            return None
    places = np.flatnonzero(differing).tolist()
    if len(places) > (len(own) >> 7) + 4:
        return None
    view, coded, following = memoryview(raw).cast("B"), bytearray(), 0
    for place in places:
        gap, following = place - following, place + 1
        while gap >= 128:
            coded.append(gap & 127 | 128)
            gap >>= 7
        coded.append(gap)
        coded += view[place * width : (place + 1) * width]
    if len(coded) >= len(own) * width:
        return None
    return bytes(coded + view[len(own) * width :])


def decode_sparse(stored: Buffer, base: Buffer, width: int, out: Buffer) -> bool:
    """Whether the bytes are a sparse difference to the base, which `out` then holds undone."""
    _check_base(out, base)
    m, view, target = (
        len(_elements(out, width)),
        memoryview(stored).cast("B"),
        memoryview(out).cast("B"),
    )
    end = len(view) - (len(target) - m * width)
    if end < 0:
        return False
    target[: m * width] = memoryview(base).cast("B")[: m * width]
    target[m * width :] = view[end:]
    at = place = 0
    while at < end:
        gap = shift = 0
        while True:
            if at == end or shift > 28:
                return False
            byte = view[at]
            gap |= (byte & 127) << shift
            at += 1
            shift += 7
            if byte < 128:
                break
        if gap >= m - place or end - at < width:
            return False
        place += gap
        target[place * width : (place + 1) * width] = view[at : at + width]
        at += width
        place += 1
    return True


# ---------------------------------------------------------------- a sample


def estimate(raw: Buffer, base: Buffer, width: int, is_float: bool) -> tuple[int, int]:
    """Bits an order-0 coder would pay for a few windows: as they are, as a difference to the base."""
    _check_base(raw, base)
    own = _elements(raw, width)
    other = _elements(base, width)[: len(own)]
    if len(own) > _WINDOWS * _WINDOW:
        step = (len(own) - _WINDOW) // (_WINDOWS - 1)
        own, other = (
            np.concatenate([e[i * step : i * step + _WINDOW] for i in range(_WINDOWS)])
            for e in (own, other)
        )
    itself = _rotated(own, left=True) if is_float and width > 1 else own
    difference = _difference(own, other, ordered=is_float, orient=is_float)
    bits = [
        sum(_entropy_bits(_count(plane), len(own)) for plane in _planes(elements)) if len(own) else 0
        for elements in (itself, difference)
    ]
    return bits[0], bits[1]
