"""What store.json says: the store's id, the features that it needs, and a checksum."""

from __future__ import annotations

import json
from typing import Any, Final

from mstore.errors import Corrupt
from mstore.frozen import frozen

CASTS: Final = "casts-1"
READ_FEATURES: Final = frozenset({CASTS, "pack-1"})
WRITE_FEATURES: Final = frozenset({"leans-1", "refs-1"})
STORE_FILE: Final = "store.json"


@frozen(slots=True)
class StoreIdentity:
    """What store.json says."""

    id: str
    read: tuple[str, ...]
    write: tuple[str, ...]
    optional: tuple[str, ...]
    shared: bool


def _identity_sum(fields: dict[str, Any]) -> str:
    """Checksum of what store.json says, however it is spaced (docs/format.md section 2)."""
    from xxhash import xxh3_64_hexdigest

    kept = {key: value for key, value in fields.items() if key != "sum"}
    return xxh3_64_hexdigest(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode())


def encode_identity(fields: dict[str, Any]) -> bytes:
    """Give the bytes of store.json, with their checksum."""
    return (json.dumps({**fields, "sum": _identity_sum(fields)}, indent=1) + "\n").encode()


def parse_identity(content: bytes, where: str) -> StoreIdentity:
    """Read store.json. Raises Corrupt, naming `where`."""
    try:
        fields = json.loads(content)
        # 0.1 wrote none, and knew no leans.
        is_old = "sum" not in fields and "leans-1" not in fields["features"]["write"]
        if not is_old and fields.get("sum") != _identity_sum(fields):
            raise Corrupt(where, "does not have its checksum")
        features = fields["features"]
        lists = [tuple(str(f) for f in features[k]) for k in ("read", "write", "optional")]
        identity = str(fields["id"])
        int(identity, 16)
        return StoreIdentity(
            identity, lists[0], lists[1], lists[2], shared=bool(fields.get("shared", False))
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt(where, f"cannot be read: {error}") from error
