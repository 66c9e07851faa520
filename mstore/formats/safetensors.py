"""Read safetensors strictly: the layout, or the rule that is broken.

Source: the format's README (`safetensors` 0.8): 8 bytes of header length, a JSON
header that begins with `{`, then the buffer, which the tensors cover without
hole or overlap. It is stricter than the library where the library accepts bytes
that another reader would understand differently (keys that occur twice, leading
white space, a byte order mark). It reads the header once and the buffer never.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mstore.errors import BadFile
from mstore.formats.dtypes import SAFETENSORS_BITS
from mstore.formats.jsontext import is_text, read_json
from mstore.objects import Layout, TensorEntry
from mstore.text import counted

if TYPE_CHECKING:
    from mstore.formats.source import ByteSource

MAX_HEADER_BYTES: Final = 100_000_000
MAX_INTEGER: Final = 2**63 - 1
_FIELDS: Final = frozenset({"dtype", "shape", "data_offsets"})
_PICKLE_PROTOCOLS: Final = b"\x02\x03\x04\x05"


def _header(source: ByteSource) -> bytes:
    """Read the header's JSON, without its padding. Raises BadFile."""
    name, size = source.name, source.size_bytes
    if size < 8:
        raise BadFile(name, f"has {counted(size, 'byte')}; a safetensors file has at least 8")
    first = source.read(0, min(16, size))
    if first.startswith(b"PK\x03\x04") or (
        first[0] == 0x80 and first[1] in _PICKLE_PROTOCOLS and first[2:8] != bytes(6)
    ):
        raise BadFile(
            name, "is a pickle, not safetensors", hint="save it with safe_serialization, or rename it"
        )
    length = int.from_bytes(first[:8], "little")
    if length == 0:
        raise BadFile(name, "has a header length of 0")
    if length > MAX_HEADER_BYTES:
        raise BadFile(name, f"has a header length of {length}; at most {MAX_HEADER_BYTES} is allowed")
    if length > size - 8:
        rest = counted(size - 8, "byte")
        raise BadFile(
            name,
            f"has a header length of {length}, longer than the {rest} after it",
        )
    raw = source.read(8, length)
    if not raw.startswith(b"{"):
        raise BadFile(name, f"its header begins with {raw[:4]!r}, must begin with '{{'")
    raw = raw.rstrip(b" ")
    if not raw.endswith(b"}"):
        raise BadFile(name, "its header does not end with '}' and spaces")
    return raw


def _check_metadata(value: Any, where: str) -> None:
    if type(value) is not dict:
        raise BadFile(where, "__metadata__ is not an object")
    for key, item in value.items():
        if type(item) is not str:
            raise BadFile(where, f"__metadata__ has a value that is not a string, under {key!r}")
    if not is_text(*value.keys(), *value.values()):
        raise BadFile(where, "__metadata__ contains a lone surrogate, which is not Unicode text")


def _is_size(value: Any) -> bool:
    # `type` and not isinstance: True is an int to Python, and 2.0 is none to the format.
    return type(value) is int and 0 <= value <= MAX_INTEGER


class _Row(NamedTuple):
    """One tensor of the header; `begin` and `end` are places in the buffer."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def _count(shape: list[int], where: str, tensor: str) -> int:
    """Count the elements of a shape. Raises BadFile."""
    if 0 in shape:
        return 0
    product = 1
    for size in shape:
        product *= size
        if product > MAX_INTEGER:
            raise BadFile(where, "the product of its shape overflows 63 bits", tensor=tensor)
    return product


def _check_fields(tensor: str, value: Any, where: str, strict: bool) -> None:
    """Check that a tensor's entry is an object with the fields of the format. Raises BadFile."""
    if type(value) is not dict:
        raise BadFile(where, "is not an object", tensor=tensor)
    if value.keys() == _FIELDS:
        return
    for field in sorted(_FIELDS - value.keys()):
        raise BadFile(where, f"lacks {field}", tensor=tensor)
    if strict:
        unknown = min(value.keys() - _FIELDS)
        raise BadFile(where, f"has the unknown field {unknown!r}", tensor=tensor)


def _check_shape(shape: Any, where: str, tensor: str) -> None:
    if type(shape) is not list:
        raise BadFile(where, "its shape is not an array", tensor=tensor)
    for size in shape:
        if not _is_size(size):
            raise BadFile(
                where,
                f"its shape has the dimension {str(size)[:40]}, not an integer ≥ 0",
                tensor=tensor,
            )


def _read_entry(tensor: str, value: Any, where: str, strict: bool) -> _Row:
    """Check one tensor by itself. Raises BadFile."""
    _check_fields(tensor, value, where, strict)
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    bits = SAFETENSORS_BITS.get(dtype) if type(dtype) is str else None
    if bits is None:
        raise BadFile(where, f"has the unknown dtype {str(dtype)[:40]!r}", tensor=tensor)
    _check_shape(shape, where, tensor)
    if type(offsets) is not list or len(offsets) != 2 or not all(map(_is_size, offsets)):
        raise BadFile(where, "its data_offsets are not two integers ≥ 0", tensor=tensor)
    begin, end = offsets
    if begin > end:
        raise BadFile(where, f"its data_offsets begin after they end ({begin} > {end})", tensor=tensor)
    total_bits = _count(shape, where, tensor) * bits
    if total_bits % 8:
        raise BadFile(where, f"its {dtype} elements do not fill whole bytes", tensor=tensor)
    if total_bits // 8 != end - begin:
        raise BadFile(
            where,
            f"its data_offsets span {end - begin} bytes, dtype and shape need {total_bits // 8}",
            tensor=tensor,
        )
    return _Row(tensor, dtype, tuple(shape), begin, end)


def _read_rows(header: Any, where: str, strict: bool) -> list[_Row]:
    """Check the header's metadata and each tensor by itself. Raises BadFile."""
    if type(header) is not dict:
        raise BadFile(where, "its header is not an object")
    metadata = header.pop("__metadata__", None)
    if metadata is not None:
        _check_metadata(metadata, where)
    rows = []
    for tensor, value in header.items():
        if not is_text(tensor):
            raise BadFile(where, "its name contains a lone surrogate", tensor=tensor)
        rows.append(_read_entry(tensor, value, where, strict))
    return rows


def _check_cover(rows: list[_Row], buffer_size: int, where: str) -> None:
    """Check that sorted tensors cover the buffer without hole or overlap. Raises BadFile."""
    position = 0
    for row in rows:
        if row.begin < position:
            overlap = position - row.begin
            raise BadFile(where, f"overlaps another by {counted(overlap, 'byte')}", tensor=row.name)
        if row.begin > position:
            hole = row.begin - position
            raise BadFile(where, f"leaves a hole of {counted(hole, 'byte')} before it", tensor=row.name)
        position = row.end
    if position > buffer_size:
        raise BadFile(
            where,
            f"is truncated: its tensors need {counted(position - buffer_size, 'byte')} more",
            tensor=next(row.name for row in rows if row.end > buffer_size),
            hint="it may not have been written completely; try again",
        )
    if position < buffer_size:
        raise BadFile(
            where, f"has {counted(buffer_size - position, 'trailing byte')} after its last tensor"
        )


def parse_safetensors(source: ByteSource, *, strict: bool = False) -> Layout:
    """Read the layout of a safetensors file.

    Args:
        source: the file.
        strict: refuse unknown fields in a tensor's entry, too.

    Returns:
        A layout whose tensors are in the order in which they lie in the file
        and whose positions are those in the file, not in the buffer.

    Raises:
        BadFile: the file breaks a rule of the format.
    """
    where = source.name
    raw = _header(source)
    buffer_begin = 8 + int.from_bytes(source.read(0, 8), "little")
    rows = _read_rows(read_json(raw, where, strict=True), where, strict)
    # Empty tensors first where several begin at one byte: they cannot overlap anything.
    rows.sort(key=lambda row: (row.begin, row.end))
    _check_cover(rows, source.size_bytes - buffer_begin, where)
    return Layout(
        "safetensors",
        tuple(
            TensorEntry(r.name, r.dtype, r.shape, buffer_begin + r.begin, buffer_begin + r.end)
            for r in rows
        ),
    )
