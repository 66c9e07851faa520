"""Bad inputs 1 to 28: safetensors files that break one rule each, or only look as if they did.

Pure functions without files or torch. `CASES[label] = (number, build, verdict,
fragment)`: the verdict is "refused" (the rule holds the fragment), "kept" or
"strict" (kept, refused under --strict).
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def framed(header: bytes | str, buffer: bytes = b"") -> bytes:
    """A file of a header as it stands and a buffer."""
    raw = header.encode("utf-8", "surrogatepass") if isinstance(header, str) else header
    return struct.pack("<Q", len(raw)) + raw + buffer


def entry(shape: Any = (2,), offsets: Any = (0, 8), dtype: Any = "F32", **more: Any) -> dict[str, Any]:
    """A tensor's entry."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


def of(buffer_size: int = 8, /, **entries: Any) -> bytes:
    """A file of entries and a buffer of zeros."""
    return framed(json.dumps(entries), bytes(buffer_size))


def named(name: str) -> bytes:
    """A file with one tensor of this name."""
    return framed(json.dumps({name: entry()}, ensure_ascii=False), bytes(8))


W = '"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
VALID = framed("{" + W + "}", bytes(8))
BIG = 2**63 - 1

CASES: dict[str, tuple[int, Callable[[], bytes], str, str]] = {
    "empty file": (1, lambda: b"", "refused", "at least 8"),
    "seven bytes": (1, lambda: b"\x02\0\0\0\0\0\0", "refused", "at least 8"),
    "header length 2**64-1": (2, lambda: b"\xff" * 8 + b"{}", "refused", "header length of 184467"),
    "header longer than file": (
        3,
        lambda: struct.pack("<Q", 100) + b"{}",
        "refused",
        "2 bytes after it",
    ),
    "header over 100 MB": (4, lambda: struct.pack("<Q", 10**8 + 1) + b"{}", "refused", "at most"),
    "header length 0": (5, lambda: bytes(8), "refused", "header length of 0"),
    "leading space": (6, lambda: framed(" {" + W + "}", bytes(8)), "refused", "begins with"),
    "leading newline": (6, lambda: framed("\n{" + W + "}", bytes(8)), "refused", "begins with"),
    "byte order mark": (7, lambda: framed("\ufeff{" + W + "}", bytes(8)), "refused", "begins with"),
    "UTF-16": (7, lambda: framed(("{" + W + "}").encode("utf-16"), bytes(8)), "refused", "begins with"),
    "UTF-16 without mark": (
        7,
        lambda: framed(("{" + W + "}").encode("utf-16-le"), bytes(8)),
        "refused",
        "header",
    ),
    "not UTF-8": (7, lambda: framed(b'{"\xff":1}'), "refused", "not UTF-8"),
    "lone surrogate": (
        7,
        lambda: framed('{"\\ud800":' + W[4:] + "}", bytes(8)),
        "refused",
        "surrogate",
    ),
    "tensor twice": (8, lambda: framed("{" + W + "," + W + "}", bytes(8)), "refused", "'w': its key"),
    "field twice": (
        8,
        lambda: framed(
            '{"w":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8)
        ),
        "refused",
        "'dtype' occurs twice",
    ),
    "metadata key twice": (
        9,
        lambda: framed('{"__metadata__":{"a":"1","a":"2"},' + W + "}", bytes(8)),
        "refused",
        "'a' occurs twice",
    ),
    "metadata twice": (
        9,
        lambda: framed('{"__metadata__":{},"__metadata__":{},' + W + "}", bytes(8)),
        "refused",
        "occurs twice",
    ),
    "unknown field": (10, lambda: of(w=entry(device="cpu")), "strict", "unknown field 'device'"),
    "metadata number": (11, lambda: of(w=entry(), __metadata__={"a": 1}), "refused", "not a string"),
    "metadata list": (11, lambda: of(w=entry(), __metadata__=[]), "refused", "not an object"),
    "overlap": (12, lambda: of(12, a=entry(), b=entry(offsets=(4, 12))), "refused", "'b': overlaps"),
    "same range twice": (12, lambda: of(a=entry(), b=entry()), "refused", "overlaps"),
    "hole": (
        13,
        lambda: of(20, a=entry(), b=entry(offsets=(12, 20))),
        "refused",
        "'b': leaves a hole of 4",
    ),
    "hole in front": (13, lambda: of(16, a=entry(offsets=(8, 16))), "refused", "hole of 8"),
    "trailing byte": (14, lambda: VALID + b"\0", "refused", "1 trailing"),
    "trailing, no tensors": (14, lambda: framed("{}", b"x"), "refused", "1 trailing"),
    "one byte short": (15, lambda: VALID[:-1], "refused", "'w': is truncated"),
    "negative offset": (16, lambda: of(w=entry(offsets=(-8, 0))), "refused", "not two integers"),
    "begin after end": (16, lambda: of(w=entry(offsets=(8, 0))), "refused", "begin after they end"),
    "three offsets": (16, lambda: of(w=entry(offsets=(0, 8, 8))), "refused", "not two integers"),
    "float offset": (16, lambda: of(w=entry(offsets=(0, 8.0))), "refused", "not two integers"),
    "shape overflows": (17, lambda: of(w=entry((2**32, 2**32))), "refused", "overflows"),
    "shape overflows, rank": (17, lambda: of(w=entry((2,) * 5000)), "refused", "overflows"),
    "dimension over 63 bits": (17, lambda: of(0, w=entry((0, 2**64), (0, 0))), "refused", "dimension"),
    "float dimension": (18, lambda: of(w=entry((2.0,))), "refused", "dimension 2.0"),
    "negative dimension": (18, lambda: of(w=entry((-2,))), "refused", "dimension -2"),
    "boolean dimension": (18, lambda: of(4, w=entry((True,), (0, 4))), "refused", "dimension True"),
    "NaN dimension": (18, lambda: of(w=entry((float("nan"),))), "refused", "NaN"),
    "dimension of a million digits": (
        18,
        lambda: framed('{"w":{"dtype":"F32","shape":[' + "9" * 10**6 + '],"data_offsets":[0,8]}}'),
        "refused",
        "not JSON",
    ),
    "shape a number": (18, lambda: of(w=entry(2)), "refused", "not an array"),
    "unknown dtype": (19, lambda: of(w=entry(dtype="F31")), "refused", "unknown dtype 'F31'"),
    "dtype a list": (19, lambda: of(w=entry(dtype=[])), "refused", "unknown dtype"),
    "offsets do not fit": (19, lambda: of(w=entry((3,))), "refused", "need 12"),
    "half a byte": (19, lambda: of(1, w=entry((1,), (0, 1), "F4")), "refused", "whole bytes"),
    "field missing": (
        19,
        lambda: of(w={"dtype": "F32", "shape": [2]}),
        "refused",
        "lacks data_offsets",
    ),
    "entry a list": (19, lambda: of(w=[]), "refused", "not an object"),
    "header a list": (19, lambda: framed("[]"), "refused", "begins with"),
    "header cut short": (19, lambda: framed("{" + W), "refused", "is not JSON"),
    "shape [0, 2**63-1]": (20, lambda: of(0, w=entry((0, BIG), (0, 0))), "kept", ""),
    "rank 1,000": (21, lambda: of(4, w=entry((1,) * 1000, (0, 4))), "kept", ""),
    "empty name": (22, lambda: named(""), "kept", ""),
    "name like a path": (23, lambda: named("../../etc/passwd"), "kept", ""),
    "absolute name": (23, lambda: named("/etc/passwd"), "kept", ""),
    "control characters": (24, lambda: of(**{"\0\n\x1b[2J\u202e": entry()}), "kept", ""),
    "names differ in form": (
        25,
        lambda: framed(json.dumps({"\u00e9": entry(), "e\u0301": entry(offsets=(8, 16))}), bytes(16)),
        "kept",
        "",
    ),
    "names differ in case": (25, lambda: of(16, W=entry(), w=entry(offsets=(8, 16))), "kept", ""),
    "100,000 empty tensors": (
        26,
        lambda: of(0, **{f"t{i}": entry((0,), (0, 0)) for i in range(100_000)}),
        "kept",
        "",
    ),
    "JSON 5,000 deep": (
        27,
        lambda: framed('{"w":' + "[" * 5000 + "]" * 5000 + "}"),
        "refused",
        "nested",
    ),
    "objects 5,000 deep": (
        27,
        lambda: framed('{"w":' + '{"a":' * 5000 + "1" + "}" * 5001),
        "refused",
        "nested",
    ),
    "5,000 deep, never closed": (27, lambda: framed('{"w":' + "[" * 5000 + "}"), "refused", "nested"),
    "10 MB of metadata": (28, lambda: of(w=entry(), __metadata__={"a": "x" * 10_000_000}), "kept", ""),
}
