"""Objects, refs and notes: everything that a team shares.

Packs are in `mstore.store.pack`, writing is in `mstore.store.transaction`; they
load codecs and threads. What is exported here is all that reading history takes.
"""

from mstore.store.catalog import CommitSizes
from mstore.store.identity import STORE_FILE
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
from mstore.store.ref_names import check_ref_name
from mstore.store.reflog import Move, Record, RefValue
from mstore.store.refs import Refs
from mstore.store.store import Store
from mstore.store.temp_roots import temp_root_record, temporary_roots_of

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
    "check_ref_name",
    "forgotten_roles",
    "forgotten_since",
    "late_facts",
    "notes_on",
    "temp_root_record",
    "temporary_roots_of",
]
