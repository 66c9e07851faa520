"""The safetensors format, strictly: what lies where, or the rule that is broken.

Source: the format's README (`safetensors` 0.8): 8 bytes of header length, a JSON
header that begins with `{`, then the buffer, which the tensors cover without
hole or overlap. Stricter than the library where the library lets pass what
another reader would take for something else (keys that stand twice, leading
white space, a byte order mark). Reads the header once and the buffer never.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mstore.errors import BadFile
from mstore.formats.dtypes import SAFETENSORS_BITS
from mstore.formats.jsontext import is_text, read_json
from mstore.objects import Layout, TensorEntry

if TYPE_CHECKING:
    from mstore.formats.source import ByteSource

MAX_HEADER_BYTES: Final = 100_000_000
MAX_INTEGER: Final = 2**63 - 1
_FIELDS: Final = frozenset({"dtype", "shape", "data_offsets"})
_PICKLE_PROTOCOLS: Final = b"\x02\x03\x04\x05"


def _header(source: ByteSource) -> bytes:
    """The header's JSON, without its padding. Raises BadFile."""
    name, size = source.name, source.size_bytes
    if size < 8:
        raise BadFile(name, f"has {size} bytes; a safetensors file has at least 8")
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
        raise BadFile(name, f"has a header length of {length}, but only {size - 8} bytes follow")
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


def _is_size(value: Any) -> bool:
    # `type` and not isinstance: True is an int to Python, and 2.0 is none to the format.
    return type(value) is int and 0 <= value <= MAX_INTEGER


def _elements(shape: list[int], where: str, tensor: str) -> int:
    if 0 in shape:
        return 0
    product = 1
    for size in shape:
        product *= size
        if product > MAX_INTEGER:
            raise BadFile(where, "the product of its shape overflows 63 bits", tensor=tensor)
    return product


def _entry(
    tensor: str, value: Any, where: str, strict: bool
) -> tuple[str, str, tuple[int, ...], int, int]:
    """Check one tensor by itself: (name, dtype, shape, begin, end in the buffer). Raises BadFile."""
    if type(value) is not dict:
        raise BadFile(where, "is not an object", tensor=tensor)
    if value.keys() != _FIELDS:
        for field in sorted(_FIELDS - value.keys()):
            raise BadFile(where, f"lacks {field}", tensor=tensor)
        if strict:
            unknown = min(value.keys() - _FIELDS)
            raise BadFile(where, f"has the unknown field {unknown!r}", tensor=tensor)
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    bits = SAFETENSORS_BITS.get(dtype) if type(dtype) is str else None
    if bits is None:
        raise BadFile(where, f"has the unknown dtype {str(dtype)[:40]!r}", tensor=tensor)
    if type(shape) is not list:
        raise BadFile(where, "its shape is not an array", tensor=tensor)
    for size in shape:
        if not _is_size(size):
            raise BadFile(
                where,
                f"its shape has the dimension {str(size)[:40]}, not an integer ≥ 0",
                tensor=tensor,
            )
    if type(offsets) is not list or len(offsets) != 2 or not all(map(_is_size, offsets)):
        raise BadFile(where, "its data_offsets are not two integers ≥ 0", tensor=tensor)
    begin, end = offsets
    if begin > end:
        raise BadFile(where, f"its data_offsets begin after they end ({begin} > {end})", tensor=tensor)
    total_bits = _elements(shape, where, tensor) * bits
    if total_bits % 8:
        raise BadFile(where, f"its {dtype} elements do not fill whole bytes", tensor=tensor)
    if total_bits // 8 != end - begin:
        raise BadFile(
            where,
            f"its data_offsets span {end - begin} bytes, dtype and shape need {total_bits // 8}",
            tensor=tensor,
        )
    return tensor, dtype, tuple(shape), begin, end


def parse_safetensors(source: ByteSource, *, strict: bool = False) -> Layout:
    """Read what lies where.

    Args:
        source: the file.
        strict: refuse unknown fields in a tensor's entry, too.

    Returns:
        A layout whose tensors stand in the order in which they lie in the file
        and whose positions are those in the file, not in the buffer.

    Raises:
        BadFile: the file breaks a rule of the format.
    """
    where = source.name
    raw = _header(source)
    buffer_begin = 8 + int.from_bytes(source.read(0, 8), "little")
    buffer_size = source.size_bytes - buffer_begin
    header = read_json(raw, where, strict=True)
    if type(header) is not dict:
        raise BadFile(where, "its header is not an object")
    metadata = header.pop("__metadata__", None)
    if metadata is not None:
        _check_metadata(metadata, where)
        if not is_text(*metadata.keys(), *metadata.values()):
            raise BadFile(where, "__metadata__ holds a lone surrogate, which is not Unicode text")
    rows = []
    for tensor, value in header.items():
        if not is_text(tensor):
            raise BadFile(where, "its name holds a lone surrogate, not Unicode text", tensor=tensor)
        rows.append(_entry(tensor, value, where, strict))
    # Empty tensors first where several begin at one byte: they cannot overlap anything.
    rows.sort(key=lambda row: (row[3], row[4]))
    position = 0
    entries = []
    for tensor, dtype, shape, begin, end in rows:
        if begin < position:
            raise BadFile(where, f"overlaps another by {position - begin} bytes", tensor=tensor)
        if begin > position:
            raise BadFile(where, f"leaves a hole of {begin - position} bytes before it", tensor=tensor)
        position = end
        entries.append(TensorEntry(tensor, dtype, shape, buffer_begin + begin, buffer_begin + end))
    if position > buffer_size:
        at_fault = next(row[0] for row in rows if row[4] > buffer_size)
        raise BadFile(
            where,
            f"is truncated: the file ends {position - buffer_size} bytes before its tensors do",
            tensor=at_fault,
            hint="it was perhaps still being written",
        )
    if position < buffer_size:
        raise BadFile(where, f"has {buffer_size - position} trailing bytes after its last tensor")
    return Layout("safetensors", tuple(entries))
