"""What running commands need, as it lies on the disk."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mstore.backend import MemoryBackend
from mstore.objects import ID_TYPES, ObjectId, blob_id
from mstore.store import temporary_roots_of
from mstore.store.temp_roots import temp_root_record

IDS = st.tuples(st.sampled_from(list(ID_TYPES.values())), st.binary(min_size=32, max_size=32)).map(
    lambda found: found[0](found[1])
)


@given(st.lists(st.tuples(IDS, st.integers(0, 255)), max_size=5))
def test_what_was_told_is_read_back(told: list[tuple[ObjectId, int]]) -> None:
    backend = MemoryBackend()
    with backend.open_temp_roots() as roots:
        for id, depth in told:
            roots.add(temp_root_record(id, depth))
        assert list(temporary_roots_of(backend)) == told
    assert list(temporary_roots_of(backend)) == []


def test_half_a_record_and_one_of_an_unknown_kind_are_passed_over() -> None:
    backend = MemoryBackend()
    record = temp_root_record(blob_id(b"x"))
    with backend.open_temp_roots() as roots:
        roots.add(bytes((250, 0)) + bytes(32))
        roots.add(record)
        roots.add(record[:-1])
        assert list(temporary_roots_of(backend)) == [(blob_id(b"x"), 255)]
