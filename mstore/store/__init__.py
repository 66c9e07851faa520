"""Objects, refs and notes: everything that a team shares.

Packs are in `mstore.store.pack`, writing is in `mstore.store.transaction`; they
load codecs and threads. What is exported here is all that reading history takes.
"""

from mstore.store.catalog import CommitSizes
from mstore.store.notes import (
    FACTS,
    FORGOTTEN,
    LateFacts,
    add_note,
    add_notes,
    forgotten_roles,
    forgotten_since,
    late_facts,
    notes_on,
)
from mstore.store.refs import Move, Record, Refs, RefValue, check_ref_name
from mstore.store.store import STORE_FILE, Store, ambiguous, lean_record, leant_on

__all__ = [
    "FACTS",
    "FORGOTTEN",
    "STORE_FILE",
    "CommitSizes",
    "LateFacts",
    "Move",
    "Record",
    "RefValue",
    "Refs",
    "Store",
    "add_note",
    "add_notes",
    "ambiguous",
    "check_ref_name",
    "forgotten_roles",
    "forgotten_since",
    "late_facts",
    "lean_record",
    "leant_on",
    "notes_on",
]
