"""Read files of `torch.save`: a zip whose stored records are tensor storages.

Hides zip and pickle. Payloads come from the central directory and the local
headers, dtypes and names from the opcodes of `data.pkl`. Parts that do not fit
together cost names and dtypes, never bytes: such a record is one stretch of bytes,
and a file that is not a valid zip is one blob.

Source: torch/serialization.py (`<prefix>/data.pkl`, `<prefix>/data/<key>`,
`<prefix>/byteorder`), caffe2/serialize/inline_container.h, APPNOTE.TXT 4.3.7.
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mstore.errors import MStoreError
from mstore.formats.dtypes import TORCH_BYTES
from mstore.formats.pickled import (
    MAX_PICKLE_BYTES,
    BrokenPickle,
    PickledTensor,
    Reading,
    Storage,
    Table,
    named_tensors,
    read_pickle,
)
from mstore.objects import Layout, TensorEntry

if TYPE_CHECKING:
    from mstore.formats.source import ByteSource

ZIP_MAGIC: Final = b"PK\x03\x04"
_LOCAL_HEADER_BYTES: Final = 30
_ENCRYPTED: Final = 0x1
# A central directory of this size has about 150,000 records.
_MAX_READ_BYTES: Final = 16 << 20
_TOKEN: Final = re.compile(rb"hf_[A-Za-z0-9]{16,}")


class BrokenZip(ValueError):
    """The file is not a zip that can be trusted to say where its records lie."""


class _Window(io.RawIOBase):
    """A ByteSource as the file object that zipfile needs."""

    def __init__(self, source: ByteSource) -> None:
        super().__init__()
        self._source = source
        self._position = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        start = (0, self._position, self._source.size_bytes)[whence]
        if start + offset < 0:
            raise BrokenZip("refers to a place before its first byte")
        self._position = start + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._source.size_bytes - self._position)
        size = left if size is None or size < 0 else min(size, left)
        if size > _MAX_READ_BYTES:
            raise BrokenZip("has an implausibly large central directory")
        content = self._source.read(self._position, size)
        self._position += size
        return content


@dataclass(frozen=True, slots=True)
class _ZipRecord:
    """One record: where its payload lies in the file."""

    name: str
    begin: int
    end: int
    stored: bool


def _records(source: ByteSource) -> list[_ZipRecord]:
    """List all records of a zip, by place. Raises BrokenZip, and what `source` raises."""
    try:
        with zipfile.ZipFile(_Window(source)) as archive:
            infos = archive.infolist()
    except (MStoreError, BrokenZip):
        raise
    except Exception as error:
        # zipfile lets struct, Unicode, overflow and import errors through besides its own.
        raise BrokenZip(f"is not a valid zip file: {error}") from None
    records = []
    position = 0
    for entry in sorted(infos, key=lambda i: i.header_offset):
        at = entry.header_offset
        if at < position or at + _LOCAL_HEADER_BYTES > source.size_bytes:
            raise BrokenZip(f"record {entry.orig_filename!r} overlaps another one or the end")
        local = source.read(at, _LOCAL_HEADER_BYTES)
        if local[:4] != ZIP_MAGIC:
            raise BrokenZip(f"record {entry.orig_filename!r} has no local header")
        begin = at + _LOCAL_HEADER_BYTES + int.from_bytes(local[26:28], "little")
        begin += int.from_bytes(local[28:30], "little")
        position = begin + entry.compress_size
        if position > source.size_bytes:
            raise BrokenZip(f"record {entry.orig_filename!r} extends past the end of the file")
        method = int.from_bytes(local[8:10], "little")
        stored = (
            entry.compress_type == method == zipfile.ZIP_STORED
            and entry.compress_size == entry.file_size
            and not entry.flag_bits & _ENCRYPTED
        )
        records.append(_ZipRecord(entry.orig_filename, begin, position, stored))
    names = [record.name for record in records]
    if len(set(names)) != len(names):
        raise BrokenZip("has two records with the same name")
    return records


def _read_record(source: ByteSource, record: _ZipRecord | None) -> bytes:
    if record is None or not record.stored:
        raise BrokenPickle("is compressed or missing")
    if record.end - record.begin > MAX_PICKLE_BYTES:
        raise BrokenPickle(f"is larger than {MAX_PICKLE_BYTES} bytes")
    return source.read(record.begin, record.end - record.begin)


def _is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
        if expected >= 2**63:
            return False
    return True


def _range(tensor: PickledTensor, record: _ZipRecord) -> tuple[int, int] | None:
    """Find the bytes that are exactly a tensor's elements in order; None if there are none."""
    width = TORCH_BYTES[tensor.dtype]
    count = 1
    for size in tensor.shape:
        count *= size
        if count >= 2**63:
            return None
    if count and not _is_contiguous(tensor.shape, tensor.strides):
        return None
    begin = record.begin + tensor.offset * width
    end = begin + count * width
    return (begin, end) if end <= record.end else None


def _covers(entries: list[TensorEntry], record: _ZipRecord) -> bool:
    position = record.begin
    for entry in sorted(entries, key=lambda e: e.begin):
        if entry.begin > position:
            return False
        position = max(position, entry.end)
    return position == record.end


def _whole(key: str, record: _ZipRecord, storage: Storage | None, trusted: bool) -> TensorEntry:
    """Describe a storage as one entry: of its dtype if that fits the record, else as bytes."""
    size = record.end - record.begin
    dtype, count = "U8", size
    if trusted and storage is not None and storage.dtype is not None:
        width = TORCH_BYTES[storage.dtype]
        if storage.count * width == size:
            dtype, count = storage.dtype, storage.count
    return TensorEntry(f"data/{key}", dtype, (count,), record.begin, record.end)


def _numbered(entries: list[TensorEntry]) -> tuple[TensorEntry, ...]:
    """Give each entry a name of its own: the second with one name gets `#2`."""
    taken = {entry.name for entry in entries}
    seen: dict[str, int] = {}
    made = []
    for entry in entries:
        count = seen.get(entry.name, 0) + 1
        seen[entry.name] = count
        name = entry.name
        while count > 1 and (name := f"{entry.name}#{count}") in taken:
            count += 1
        if name != entry.name:
            taken.add(name)
            seen[entry.name] = count
        made.append(TensorEntry(name, entry.dtype, entry.shape, entry.begin, entry.end))
    return tuple(made)


def _entries(records: dict[str, _ZipRecord], reading: Reading | None) -> tuple[TensorEntry, ...]:
    """Describe the tensors in each storage record; every record is covered to its last byte."""
    by_key: dict[str, list[TensorEntry]] = {key: [] for key in records}
    storages: dict[str, Storage] = {}
    if reading is not None:
        storages = {k: s for k, s in reading.storages.items() if k not in reading.conflicting}
        for name, tensor in named_tensors(reading.root):
            key = tensor.storage.key
            record = records.get(key)
            place = _range(tensor, record) if record is not None and key in storages else None
            if place is not None:
                by_key[key].append(TensorEntry(name, tensor.dtype, tensor.shape, *place))
    entries = []
    for key, record in records.items():
        storage = storages.get(key)
        fits = (
            storage is None
            or storage.dtype is None
            or (storage.count * TORCH_BYTES[storage.dtype] == record.end - record.begin)
        )
        if by_key[key] and fits and _covers(by_key[key], record):
            entries += by_key[key]
        else:
            entries.append(_whole(key, record, storage, fits))
    # Longest first where several begin at one byte, but empty records keep their place.
    entries.sort(key=lambda e: (e.begin, e.size_bytes > 0, -e.size_bytes))
    return _numbered(entries)


def _prefix(records: dict[str, _ZipRecord]) -> str | None:
    """Find the folder inside the zip that torch put everything in; None for zips of others."""
    parts = [name.partition("/") for name in records if name.count("/") == 1]
    folders = [folder for folder, _, name in parts if name == "data.pkl"]
    return folders[0] if len(folders) == 1 else None


def parse_torch_zip(source: ByteSource) -> tuple[Layout | None, tuple[str, ...], tuple[str, ...]]:
    """Read the layout of a torch zip.

    Args:
        source: a file that begins with ZIP_MAGIC.

    Returns:
        (layout, warnings, devices). The layout is None for a zip that torch did
        not write. Devices are the places where the storages were ('cuda:0'), sorted.

    Raises:
        BrokenZip: the zip cannot be followed.
    """
    records = {record.name: record for record in _records(source)}
    prefix = _prefix(records)
    if prefix is None:
        return None, (), ()
    warnings: tuple[str, ...] = ()
    reading: Reading | None = None
    try:
        reading = read_pickle(_read_record(source, records[f"{prefix}/data.pkl"]))
        order = records.get(f"{prefix}/byteorder")
        if order is not None and _read_record(source, order).strip() != b"little":
            warnings = (f"{source.name}: its numbers are big-endian; they are kept as bytes",)
            reading = Reading(reading.root, {}, frozenset(), [])
    except BrokenPickle as error:
        warnings = (f"{source.name}: data.pkl {error}; its tensors are kept without names",)
    inside = f"{prefix}/data/"
    storages = {
        name.removeprefix(inside).encode(errors="replace").decode(): record
        for name, record in records.items()
        if name.startswith(inside) and record.stored
    }
    devices = {s.location[:64] for s in reading.storages.values()} if reading is not None else set()
    layout = Layout("torch-zip", _entries(storages, reading))
    return layout, warnings, tuple(sorted(d.encode(errors="replace").decode() for d in devices))


def _names_token(table: Table) -> bool:
    return any(
        type(key) is str and key == "hub_token" and type(value) is str and value != ""
        for key, value in table.pairs
    )


def holds_token(source: ByteSource) -> bool:
    """Tell whether a pickle (training_args.bin) holds a Hugging Face token in clear.

    It looks for a dict with a text under `hub_token`; nothing is loaded. In a pickle
    that cannot be followed it looks for anything that has the form of a token.
    """
    raw: Any = b""
    try:
        if source.size_bytes > 4 and source.read(0, 4) == ZIP_MAGIC:
            records = {record.name: record for record in _records(source)}
            prefix = _prefix(records)
            if prefix is None:
                return False
            raw = _read_record(source, records[f"{prefix}/data.pkl"])
        elif source.size_bytes <= MAX_PICKLE_BYTES:
            raw = source.read(0, source.size_bytes)
        if b"hub_token" not in raw:
            return False
        return any(_names_token(table) for table in read_pickle(raw).tables)
    except (BrokenZip, BrokenPickle):
        return bool(_TOKEN.search(raw))
