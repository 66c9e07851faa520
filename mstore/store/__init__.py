"""Objects, refs and notes: everything that a team shares.

Packs are in `mstore.store.pack`, writing is in `mstore.store.transaction`; they
load codecs and threads. What is exported here is all that reading history takes.
"""

from mstore.store.catalog import CommitSizes
from mstore.store.notes import FACTS, LateFacts, add_note, late_facts, notes_on
from mstore.store.refs import Move, Record, Refs, RefValue, check_ref_name
from mstore.store.store import STORE_FILE, Store, ambiguous

__all__ = [
    "FACTS",
    "STORE_FILE",
    "CommitSizes",
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
    "notes_on",
]
