"""Reflogs: numbered records of moves in segments; what is damaged costs itself alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_hexdigest

from mstore.backend import MemoryBackend
from mstore.errors import Conflict, Corrupt, MStoreError
from mstore.objects import CommitId, NoteId, ObjectId, TagId, Time
from mstore.store import Move, Record, Refs, Store

A, B, C = (CommitId(bytes([n]) * 32) for n in (1, 2, 3))
FIRST = "logs/heads/main/~00000001"
SECOND = "logs/heads/main/~00000002"


def move(action: str = "test") -> Move:
    return Move(action, "because", "Ada", Time(1, 0), "w" * 32)


def _moved(*ids: ObjectId) -> tuple[Refs, MemoryBackend]:
    """A ref `heads/main` that was moved to these one after the other."""
    backend = MemoryBackend()
    refs = Refs(backend)
    for id in ids:
        refs.move("heads/main", id, move(), force=True)
    return refs, backend


def _news(refs: Refs) -> list[ObjectId | None]:
    return [record.new for record in refs.log_even_unfinished("heads/main")]


TEXTS = st.text(st.characters(), max_size=30)
MOVES = st.builds(
    Move,
    TEXTS,
    TEXTS,
    TEXTS,
    st.builds(Time, st.integers(-(2**62), 2**62), st.integers(-14 * 60, 14 * 60)),
    st.none() | TEXTS,
)
KINDS = st.sampled_from([CommitId, TagId, NoteId])


@st.composite
def records(draw: st.DrawFn) -> Record:
    """A record of a move to or from anywhere; both ends are of one kind."""
    kind = draw(KINDS)
    old, new = (draw(st.none() | st.builds(kind, st.binary(min_size=32, max_size=32))) for _ in "on")
    return Record(draw(st.integers(1, 2**63)), old, new, draw(MOVES))


@given(records())
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    line = record.line()
    assert line.splitlines(keepends=True) == [line] and line.endswith(b"\n")
    assert Record.parse(line[:-1], "x") == record


@given(records(), st.data())
@settings(max_examples=50)
def test_a_record_that_lost_its_end_is_none(record: Record, data: st.DataObject) -> None:
    line = record.line()[:-1]
    with pytest.raises(Corrupt):
        Record.parse(line[: data.draw(st.integers(0, len(line) - 1))], "x")


def _summed(body: bytes) -> bytes:
    return xxh3_64_hexdigest(body).encode() + b" " + body


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "blob"},
        {"kind": []},
        {"kind": None},
        {"new": "12"},
        {"new": 5},
        {"old": "g" * 64},
        {"n": "2"},
        {"n": 0},
        {"n": -1},
        {"n": True},
        {"n": 1.5},
        {"n": None},
        {"time": "now"},
        {"zone": None},
        {"author": 5},
        {"action": None},
        {"message": ["x"]},
        {"workspace": 1},
    ],
    ids=str,
)
def test_a_record_of_other_values_is_corrupt_and_says_where(changes: dict[str, Any]) -> None:
    """Whoever writes it can write its checksum, too."""
    plain = json.loads(Record(1, None, A, move()).line().partition(b" ")[2])
    Record.parse(_summed(json.dumps(plain).encode()), "x")
    with pytest.raises(Corrupt) as caught:
        Record.parse(_summed(json.dumps({**plain, **changes}).encode()), "logs/heads/main")
    assert caught.value.where == "logs/heads/main" and "cannot be read" in caught.value.rule


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"null", b"\xff", b"{", b"[" * 100_000])
def test_a_record_of_another_form_is_corrupt(body: bytes) -> None:
    with pytest.raises(Corrupt, match="cannot be read"):
        Record.parse(_summed(body), "x")


def test_a_torn_last_line_costs_itself_alone() -> None:
    """Torn anywhere: the next move is recorded, numbered beyond it, and no other record is lost."""
    refs, backend = _moved(A, B)
    whole, ref = backend.kept[FIRST], backend.kept["refs/heads/main"]
    begin = whole.index(b"\n") + 1
    for end in range(begin + 1, len(whole)):
        backend.kept = {FIRST: whole[:end], "refs/heads/main": ref}
        value = refs.move("heads/main", C, move(), expected=B)
        kept, unreadable = refs.log_readable("heads/main")
        torn = end < len(whole) - 1  # Without its line feed alone it is as good as whole.
        assert unreadable == torn
        assert [record.new for record in kept] == ([C, A] if torn else [C, B, A])
        assert value is not None and value.generation == kept[0].number == 3


def test_numbers_go_on_after_a_damaged_segment_of_a_deleted_ref() -> None:
    """With no ref to tell, earlier segments tell how far the numbers had come."""
    for cut in (False, True):
        refs, backend = _moved(A, B)
        refs.move("heads/main", None, move("delete"), force=True)
        lines = backend.kept[FIRST].splitlines(keepends=True)
        backend.kept[FIRST] = b"".join(lines[:2])
        backend.kept[SECOND] = lines[2][:-20] + b"\n"
        if cut:
            assert refs.repair_reflog("heads/main") == (2, 1)
        value = refs.move("heads/main", C, move(), expected=None)
        assert value is not None and value.generation == (3 if cut else 4)
        assert [r.new for r in refs.log_readable("heads/main")[0]] == [C, B, A]
        assert value.generation == refs.log_readable("heads/main")[0][0].number


def test_a_repair_cuts_what_cannot_be_read_and_keeps_it_aside() -> None:
    refs, backend = _moved(A, B, C)
    first, second, third = backend.kept[FIRST].splitlines(keepends=True)
    backend.kept[FIRST] = damaged = first + second.replace(b"because", b"becausE") + third
    assert refs.log_readable("heads/main")[1] == 1
    with pytest.raises(Corrupt):
        refs.log_even_unfinished("heads/main")
    assert refs.repair_reflog("heads/main") == (2, 1)
    assert _news(refs) == [C, A] and backend.kept[FIRST] == first + third
    assert backend.kept[f"quarantine/{FIRST}.1"] == damaged
    assert refs.repair_reflog("heads/main") == (2, 0)
    backend.kept[FIRST] = first + b"noise"
    assert refs.repair_reflog("heads/main") == (1, 1)
    assert backend.kept[f"quarantine/{FIRST}.2"] == first + b"noise"


def test_names_that_have_a_log_include_those_of_deleted_refs() -> None:
    refs, _ = _moved(A)
    refs.move("heads/a/b", A, move(), expected=None)
    refs.move("heads/a/b", None, move(), expected=A)
    refs.move("tags/v1", A, move(), expected=None)
    refs.record_refused("heads/main", B, move())
    assert refs.logged("heads") == ("a/b", "main") and refs.logged("tags") == ("v1",)
    assert refs.logged("refused") == ("heads/main",) and refs.logged("notes") == ()


def test_a_ref_below_another_keeps_a_log_of_its_own() -> None:
    refs, backend = _moved(A)
    backend.kept["logs/heads/main/~x"] = b"no segment"
    refs.move("notes/main", B, move(), expected=None)
    refs.record_refused("heads/main", C, move())
    assert _news(refs) == [A]


def test_segments_roll_over(store: Store) -> None:
    refs = store.refs
    now = None
    for i in range(260):
        new = CommitId(i.to_bytes(32, "big"))
        refs.move("heads/main", new, move(), expected=now)
        now = new
    assert len(list((store.path / "logs/heads/main").iterdir())) > 2
    assert [r.number for r in refs.log("heads/main")] == list(range(260, 0, -1))


def test_every_flipped_byte_of_a_reflog_is_found(store: Store) -> None:
    store.refs.move("heads/main", A, move(), expected=None)
    segment = store.path / "logs/heads/main/~00000001"
    line = segment.read_bytes()
    for i in range(len(line) - 1):
        damaged = bytearray(line)
        damaged[i] ^= 1
        segment.write_bytes(damaged)
        with pytest.raises(MStoreError):
            store.refs.log_even_unfinished("heads/main")


@pytest.mark.parametrize("what", ["move", "record_refused", "repair_reflog"])
def test_the_log_is_touched_under_the_lock_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Two who number their records at once would write over each other's."""
    store.refs.move("heads/main", A, move(), expected=None)
    other, asked = Store.at(store.path).backend, []
    segments = Refs._segments

    def watched(self: Refs, name: str) -> list[str]:
        asked.append(name)
        # flock is by open file, so another hold of this process is another owner.
        with pytest.raises(Conflict), other.lock("refs", wait=False):
            pass
        return segments(self, name)

    monkeypatch.setattr(Refs, "_segments", watched)
    if what == "move":
        store.refs.move("heads/main", B, move(), expected=A)
    elif what == "record_refused":
        store.refs.record_refused("heads/main", B, move())
    else:
        assert store.refs.repair_reflog("heads/main") == (1, 0)
    assert asked
