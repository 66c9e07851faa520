"""Memory is asked of the kernel at once; what is asked is never more than what is there."""

from __future__ import annotations

import ctypes
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstore.fs import allocator
from mstore.fs.allocator import keep_freed_memory, take_pages

PAGE = os.sysconf("SC_PAGE_SIZE")


@given(st.integers(0, 3 * PAGE), st.integers(0, 3 * PAGE))
def test_pages_are_taken_within_the_memory_and_its_content_stays(before: int, size: int) -> None:
    memory = bytearray(os.urandom(64)) * (8 * PAGE // 64)
    was = bytes(memory)
    asked: list[tuple[int, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "platform", "linux")
        patch.setattr(
            allocator, "_madvise", lambda: lambda begin, length, _: asked.append((begin, length))
        )
        part = memoryview(memory)[before : before + size]
        take_pages(part)
    assert bytes(memory) == was
    if asked:
        ((begin, length),) = asked
        start = ctypes.addressof(ctypes.c_char.from_buffer(part))
        assert begin % PAGE == length % PAGE == 0 and length > 0
        assert start <= begin and begin + length <= start + size
    else:
        assert size < 2 * PAGE


def test_memory_that_is_taken_holds_what_is_written() -> None:
    memory = bytearray(8 * PAGE)
    take_pages(memoryview(memory))
    memory[:] = bytes(range(256)) * (len(memory) // 256)
    assert memory[PAGE] == PAGE % 256


def test_where_the_system_cannot_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: object) -> object:
        raise OSError("no library")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    for function in (keep_freed_memory, allocator._madvise):
        function.cache_clear()
    try:
        keep_freed_memory()
        assert allocator._madvise() is None
        take_pages(memoryview(bytearray(2 * PAGE)))
        monkeypatch.setattr(sys, "platform", "darwin")
        keep_freed_memory.cache_clear()
        keep_freed_memory()
    finally:
        for function in (keep_freed_memory, allocator._madvise):
            function.cache_clear()
