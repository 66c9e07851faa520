"""The tree of errors: exit codes, names in `--json`, fields, and the way to another process."""

from __future__ import annotations

import pickle

import pytest

from mstore import errors
from mstore.errors import (
    Ambiguous,
    BadFile,
    Conflict,
    Corrupt,
    Dirty,
    DurabilityUnknown,
    InvalidInput,
    MStoreError,
    NotFound,
    RefMoved,
    RevisionNotFound,
    StorageFailed,
    UsageError,
)


def _all(kind: type[MStoreError] = MStoreError) -> list[type[MStoreError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _all(child))]


OURS = [kind for kind in _all() if kind.__module__ == "mstore.errors"]

EXAMPLES = [
    RevisionNotFound("mian", near=("main",)),
    Ambiguous("ab", ("abc one", "abe two")),
    Corrupt("pack x", "is short", hint="repair it"),
    RefMoved("heads/main"),
    Dirty("would be lost", ("a", "b")),
    BadFile("a.safetensors", "ends early", tensor="w"),
    BadFile("a.safetensors", "ends early"),
    StorageFailed("cannot read x", errno=5),
    DurabilityUnknown("done", errno=5, hint="look"),
]


def test_each_class_has_a_name_of_its_own_in_json() -> None:
    codes = [kind.code for kind in OURS]
    assert len(set(codes)) == len(codes) == len(errors.__all__)
    assert {kind.__name__ for kind in OURS} == set(errors.__all__)


@pytest.mark.parametrize("kind", OURS)
def test_exit_codes_are_those_of_the_table(kind: type[MStoreError]) -> None:
    """A class exits as its nearest class in the table of the module does."""
    table = {
        MStoreError: 1,
        UsageError: 2,
        NotFound: 3,
        Ambiguous: 3,
        Corrupt: 4,
        Conflict: 5,
        InvalidInput: 6,
    }
    nearest = next(one for one in kind.__mro__ if one in table)
    assert kind.exit_code == table[nearest]


@pytest.mark.parametrize("error", EXAMPLES)
def test_an_error_reaches_another_process_whole(error: MStoreError) -> None:
    there = pickle.loads(pickle.dumps(error))
    assert type(there) is type(error) and str(there) == str(error)
    assert vars(there) == vars(error)


def test_messages_are_made_of_the_fields() -> None:
    assert str(RevisionNotFound("mian")) == "no such revision: 'mian'"
    assert RevisionNotFound("mian").hint is None
    assert RevisionNotFound("mian", near=("main", "mine")).hint == "near it: main, mine"
    assert RevisionNotFound("mian", near=("main",), hint="ours").hint == "ours"
    found = Ambiguous("ab", ("one", "two"))
    assert str(found) == "short id 'ab' fits 2 commits" and found.hint == "one of:\n  one\n  two"
    assert str(Ambiguous("step:4", ("one",), message="which?")) == "which?"
    assert str(Corrupt("pack x", "is short")) == "pack x: is short"
    found_file = BadFile("a", "ends early", tensor="w")
    assert (str(found_file), found_file.rule) == ("a: tensor 'w': ends early", "tensor 'w': ends early")
    assert str(RefMoved("heads/main")).startswith("another process moved heads/main")
