"""Objects, refs and notes: everything that a team shares.

Writing blobs is in `mstore.store.transaction`, which loads threads and codecs;
what is exported here is all that reading history takes.
"""

from mstore.store.catalog import CommitSizes
from mstore.store.notes import FACTS, LateFacts, add_note, late_facts, notes_on
from mstore.store.pack import FrameReader, name_of_key, pack_key, read_footer
from mstore.store.refs import Move, Record, Refs, RefValue, check_ref_name
from mstore.store.store import STORE_FILE, Store, ambiguous

__all__ = [
    "FACTS",
    "STORE_FILE",
    "CommitSizes",
    "FrameReader",
    "LateFacts",
    "Move",
    "Record",
    "RefValue",
    "Refs",
    "Store",
    "add_note",
    "ambiguous",
    "check_ref_name",
    "late_facts",
    "name_of_key",
    "notes_on",
    "pack_key",
    "read_footer",
]
