"""Element types by safetensors' names, and how wide each is.

Source: `Dtype` in safetensors 0.8. `C128` is not among them; torch has it.
"""

from __future__ import annotations

from typing import Final

SAFETENSORS_BITS: Final = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}
TORCH_BYTES: Final = {
    **{name: bits // 8 for name, bits in SAFETENSORS_BITS.items() if bits % 8 == 0},
    "C128": 16,
}
# What a codec should take for one element: a complex number is two floats.
_FLOATS: Final = {"F16": 2, "BF16": 2, "F32": 4, "F64": 8, "C64": 4, "C128": 8}


def codec_element(dtype: str) -> tuple[int, bool]:
    """Tell the width in bytes (1, 2, 4 or 8) of a dtype's elements, and whether they are floats.

    Formats of less than a byte count as plain bytes, and so do unknown names.
    """
    if dtype in _FLOATS:
        return _FLOATS[dtype], True
    if dtype.startswith("F8_"):
        return 1, True
    width = TORCH_BYTES.get(dtype, 1)
    return (width, False) if width in (1, 2, 4, 8) else (1, False)
