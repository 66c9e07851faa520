"""Descriptors that stay open: who closes one, and when."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mstore.backend.descriptors import DescriptorCache


@pytest.fixture
def opened() -> list[str]:
    """Keys that were opened, in order."""
    return []


@pytest.fixture
def cache(tmp_path: Path, opened: list[str]) -> DescriptorCache:
    def open_key(key: str) -> int:
        opened.append(key)
        (tmp_path / key).write_text(key)
        return os.open(tmp_path / key, os.O_RDONLY)

    return DescriptorCache(open_key)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_reads_share_a_descriptor(cache: DescriptorCache, opened: list[str]) -> None:
    first = cache.acquire("a")
    cache.release(first)
    assert cache.acquire("a") is first and opened == ["a"]
    cache.release(first)
    cache.close()
    assert not _is_open(first.descriptor)


def test_the_last_reader_closes_what_was_forgotten(cache: DescriptorCache, opened: list[str]) -> None:
    file = cache.acquire("a")
    assert cache.acquire("a") is file
    cache.forget("a")
    cache.release(file)
    assert os.pread(file.descriptor, 1, 0) == b"a"
    other = cache.acquire("a")
    assert other is not file and opened == ["a", "a"]
    descriptor = file.descriptor
    cache.release(file)
    assert not _is_open(descriptor)
    cache.release(other)
    cache.close()


def test_the_longest_unused_are_closed_first(cache: DescriptorCache, opened: list[str]) -> None:
    kept = cache.acquire("kept")
    for number in range(40):
        cache.release(cache.acquire(str(number)))
    assert _is_open(kept.descriptor), "it is being read"
    for key in ("39", "kept"):
        cache.release(cache.acquire(key))
    assert opened.count("39") == opened.count("kept") == 1
    cache.release(cache.acquire("0"))
    assert opened.count("0") == 2
    cache.release(kept)
    cache.close()
