"""Refs: compare-and-swap, records before moves, names that are refused."""

from __future__ import annotations

import multiprocessing
from itertools import pairwise
from pathlib import Path

import pytest

from mstore.errors import Conflict, Corrupt, InvalidInput, NotFound, RefMoved
from mstore.objects import CommitId, Time
from mstore.store import Move, Record, Refs, Store, check_ref_name
from mstore.store.refs import parse_ref

A, B, C = (CommitId(bytes([n]) * 32) for n in (1, 2, 3))


def move(action: str = "test") -> Move:
    return Move(action, "because", "Ada", Time(1, 0), "w" * 32)


def test_moves_and_log(store: Store) -> None:
    refs = store.refs
    assert refs.read("heads/main") is None
    refs.move("heads/main", A, move("one"), expected=None)
    refs.move("heads/main", B, move("two"), expected=A)
    value = refs.read("heads/main")
    assert value is not None and (value.target, value.generation) == (B, 2)
    assert [(r.number, r.old, r.new, r.move.action) for r in refs.log("heads/main")] == [
        (2, A, B, "two"),
        (1, None, A, "one"),
    ]


@pytest.mark.parametrize("expected", [None, B])
def test_a_ref_that_moved_is_a_conflict(store: Store, expected: CommitId | None) -> None:
    store.refs.move("heads/main", A, move(), expected=None)
    with pytest.raises(RefMoved):
        store.refs.move("heads/main", C, move(), expected=expected)
    assert len(store.refs.log("heads/main")) == 1


def test_deletion_keeps_the_log_and_numbers_go_on(store: Store) -> None:
    refs = store.refs
    refs.move("heads/main", A, move(), expected=None)
    refs.move("heads/main", None, move("delete"), expected=A)
    assert refs.read("heads/main") is None
    refs.move("heads/main", B, move(), expected=None)
    value = refs.read("heads/main")
    assert value is not None and value.generation == 3
    assert [r.new for r in refs.log("heads/main")] == [B, None, A]


def test_a_record_of_a_move_that_never_happened_is_replaced(store: Store) -> None:
    """Killed between record and ref: the record is no move, and the next one takes its place."""
    refs = store.refs
    refs.move("heads/main", A, move(), expected=None)
    segment = store.path / "logs/heads/main/~00000001"
    segment.write_bytes(segment.read_bytes() + Record(2, A, C, move("never")).line())
    assert [r.new for r in refs.log("heads/main")] == [A]
    refs.move("heads/main", B, move("then"), expected=A)
    assert [(r.number, r.new) for r in refs.log("heads/main")] == [(2, B), (1, A)]


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 200, b"mstore-ref-1 1 commit", b"x" * 5000, b"mstore-ref-1 1 commit " + b"0" * 64],
)
def test_a_torn_ref_is_corrupt_and_says_so(store: Store, content: bytes) -> None:
    """Bad input 36."""
    refs = store.refs
    refs.move("heads/main", A, move(), expected=None)
    (store.path / "refs/heads/main").write_bytes(content)
    with pytest.raises(Corrupt, match="refs/heads/main"):
        refs.read("heads/main")
    with pytest.raises(Corrupt):
        refs.move("heads/main", B, move(), expected=A)
    refs.move("heads/main", A, move("repair"), force=True)
    value = refs.read("heads/main")
    assert value is not None and value.target == A


def test_every_flipped_bit_of_a_ref_is_found(store: Store) -> None:
    store.refs.move("heads/main", A, move(), expected=None)
    line = (store.path / "refs/heads/main").read_bytes()
    for i in range(len(line)):
        for bit in range(8):
            damaged = bytearray(line)
            damaged[i] ^= 1 << bit
            with pytest.raises(Corrupt):
                parse_ref(bytes(damaged), "ref")


BAD_NAMES = [
    "",
    "HEAD",
    "@",
    "a..b",
    "a@{b",
    "x.lock",
    "a/x.lock",
    "-x",
    "a/-x",
    ".x",
    "a/.x",
    "x.",
    "a//b",
    "/a",
    "a/",
    "a b",
    "a\tb",
    "a\r",
    "a\n",
    "a\x1b[2J",
    "a\x7f",
    "a\u202eb",
    "a~b",
    "a^b",
    "a:b",
    "a?b",
    "a*b",
    "a[b",
    "a\\b",
    "a\0b",
    "\ud800",
    "x" * 201,
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_refused(store: Store, name: str) -> None:
    """Bad input 37."""
    with pytest.raises(InvalidInput):
        check_ref_name(name)
    with pytest.raises(InvalidInput):
        store.refs.move(f"heads/{name}", A, move(), expected=None)
    assert not list(store.refs.names("heads"))


@pytest.mark.parametrize(
    "name", ["main", "lora/r=8", "run-1", "größe", "a@b", "1e-4", "v1.0", "x" * 200]
)
def test_names_that_are_allowed(name: str) -> None:
    assert check_ref_name(name) == name


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a", "a/b"),
        ("a/b", "a"),
        ("Main", "main"),
        ("a/B/c", "A/b/c"),
        ("ﬁ", "fi"),
        ("e\u0301", "\u00e9"),
    ],
)
def test_names_that_collide(store: Store, first: str, second: str) -> None:
    """Bad input 38."""
    store.refs.move(f"heads/{first}", A, move(), expected=None)
    with pytest.raises(Conflict):
        store.refs.move(f"heads/{second}", A, move(), expected=None)


def test_a_link_where_a_ref_should_be(store: Store, tmp_path: Path) -> None:
    """Bad input 39."""
    (tmp_path / "elsewhere").write_bytes(b"mstore-ref-1")
    (store.path / "refs/heads/main").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Corrupt, match="symbolic link"):
        store.refs.read("heads/main")


def test_no_reflog(store: Store) -> None:
    with pytest.raises(NotFound):
        store.refs.log("heads/main")


def _race(path: Path, number: int, start: multiprocessing.synchronize.Event) -> None:
    refs: Refs = Store.at(path).refs
    start.wait()
    for i in range(15):
        for _ in range(1000):
            value = refs.read("heads/main")
            new = CommitId(bytes([number, i]) + bytes(30))
            try:
                refs.move("heads/main", new, move(), expected=value.target if value else None)
                break
            except RefMoved:
                continue


def test_processes_never_lose_a_move(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    workers = [context.Process(target=_race, args=(store.path, n, start)) for n in range(4)]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    records = store.refs.log("heads/main")
    assert len(records) == 60
    assert len({r.new for r in records}) == 60
    for later, earlier in pairwise(records):
        assert later.old == earlier.new and later.number == earlier.number + 1
