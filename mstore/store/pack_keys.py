"""The keys of a pack, in its folder and in the trash."""

from __future__ import annotations

import re
from typing import Final

PACK_FOLDERS: Final = tuple(f"packs/{i:02x}" for i in range(256))
"""The folders of packs; a pack lies in that of its first byte."""
_TRASH_KEY: Final = r"trash/([0-9]{1,12})-([0-9a-f]{64})\.pack"


def pack_key(name: bytes) -> str:
    """Return the key of a pack, given its name of 32 bytes."""
    return f"packs/{name[:1].hex()}/{name.hex()}.pack"


def name_of_key(key: str) -> bytes | None:
    """Return the name of the pack at a key, or None if the key is no pack's."""
    folder, _, file = key.removeprefix("packs/").partition("/")
    stem = file.removesuffix(".pack")
    if len(stem) != 64 or not file.endswith(".pack") or stem[:2] != folder:
        return None
    try:
        return bytes.fromhex(stem) if stem == stem.lower() else None
    except ValueError:
        return None


def trash_key(name: bytes, seconds: int) -> str:
    """Return the key in the trash of a pack that was deleted `seconds` after 1970."""
    return f"trash/{seconds}-{name.hex()}.pack"


def name_of_trash_key(key: str) -> tuple[bytes, int] | None:
    """Return the name of the pack at a key in the trash, and when it came there; None for none."""
    match = re.fullmatch(_TRASH_KEY, key)
    return (bytes.fromhex(match[2]), int(match[1])) if match is not None else None
