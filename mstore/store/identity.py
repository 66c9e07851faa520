"""The contents of store.json: the store's id, the features that it needs, and a checksum."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from mstore.errors import Conflict, Corrupt, InvalidInput, NoStore, Unsupported
from mstore.frozen import frozen

if TYPE_CHECKING:
    from mstore.backend import Backend

CASTS: Final = "casts-1"
READ_FEATURES: Final = frozenset({CASTS, "pack-1"})
WRITE_FEATURES: Final = frozenset({"leans-1", "refs-1"})
STORE_FILE: Final = "store.json"


@frozen(slots=True)
class StoreIdentity:
    """The contents of store.json."""

    id: str
    read: tuple[str, ...]
    write: tuple[str, ...]
    optional: tuple[str, ...]
    shared: bool


def _identity_sum(fields: dict[str, Any]) -> str:
    """Return the checksum of what store.json says, however it is spaced (docs/format.md section 2)."""
    from xxhash import xxh3_64_hexdigest

    kept = {key: value for key, value in fields.items() if key != "sum"}
    return xxh3_64_hexdigest(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode())


def encode_identity(fields: dict[str, Any]) -> bytes:
    """Return the bytes of store.json, with their checksum."""
    return (json.dumps({**fields, "sum": _identity_sum(fields)}, indent=1) + "\n").encode()


def parse_identity(content: bytes, where: str) -> StoreIdentity:
    """Read store.json. Raises Corrupt, naming `where`."""
    try:
        fields = json.loads(content)
        # 0.1 wrote none, and had no temporary roots.
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


def read_identity(backend: Backend) -> StoreIdentity:
    """Read the identity of the store in a backend.

    Raises:
        NoStore: it holds none.
        Unsupported: the store needs features that this version lacks.
        Corrupt: store.json cannot be read.
        StorageFailed: the system failed.
    """
    try:
        content = backend.get(STORE_FILE)
    except KeyError as error:
        what = f"no store at {backend.location}"
        raise NoStore(what, hint="`mstore init --store DIR` creates one") from error
    identity = parse_identity(content, f"{backend.location}/{STORE_FILE}")
    unknown = sorted(set(identity.read) - READ_FEATURES)
    if unknown:
        raise Unsupported(
            f"{backend.location} needs {', '.join(unknown)}, which this version does not have",
            hint="use a newer mstore",
        )
    return identity


def create_identity(backend: Backend, *, shared: bool = False) -> None:
    """Make an empty store in a backend that holds none.

    Args:
        backend: where; a local one has its folders already (`mstore.store.local`).
        shared: its files are group-writable.

    Raises:
        InvalidInput: it holds a store already.
        StorageFailed: the system failed.
    """
    fields = {
        "id": os.urandom(16).hex(),
        "features": {
            "read": sorted(READ_FEATURES - {CASTS}),  # until a pack needs it
            "write": sorted(WRITE_FEATURES),
            "optional": [],
        },
        "shared": shared,
    }
    if not backend.compare_and_swap(STORE_FILE, None, encode_identity(fields)):
        raise InvalidInput(backend.location, "is a store already")


def with_feature(backend: Backend, feature: str, *, reading: bool) -> StoreIdentity:
    """Add a feature to store.json, and return the identity with it.

    Raises:
        Conflict: another process changed it meanwhile.
    """
    side = "read" if reading else "write"
    content = backend.get(STORE_FILE)
    fields = json.loads(content)
    fields["features"][side] = sorted({*fields["features"][side], feature})
    changed = encode_identity(fields)
    where = f"{backend.location}/{STORE_FILE}"
    if not backend.compare_and_swap(STORE_FILE, content, changed):
        raise Conflict(f"another process changed {where} meanwhile", hint="run the command again")
    return parse_identity(changed, where)
