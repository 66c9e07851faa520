"""The stat cache: an entry counts while nothing about its file changed, and may vanish at any time."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mstore.objects import ManifestFile, Segment, blob_id
from mstore.workspace.statcache import GRAIN_NS, StatCache
from mstore.worktree.scan import ScannedFile, Stamp

PAST_NS = 1_700_000_000 * 10**9
READ_NS = PAST_NS + 2 * GRAIN_NS


@pytest.fixture
def file(tmp_path: Path) -> ScannedFile:
    stamp = Stamp(5, PAST_NS, PAST_NS, 7, 8)
    return ScannedFile("a/b.json", "out/a/b.json", tmp_path / "out/a/b.json", stamp)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[StatCache]:
    cache = StatCache(tmp_path / "cache/stat.sqlite", "store")
    yield cache
    cache.close()


ENTRY = ManifestFile("a/b.json", "other", 5, (Segment(blob_id(b"hello"), 0, 5),))


def test_what_is_kept_is_found_also_by_the_next_process(
    cache: StatCache, file: ScannedFile, tmp_path: Path
) -> None:
    assert cache.find([file]) == {}
    cache.keep([(file, ENTRY)], read_at_ns=READ_NS)
    assert cache.find([file]) == {"a/b.json": ENTRY}
    cache.close()
    assert StatCache(tmp_path / "cache/stat.sqlite", "store").find([file]) == {"a/b.json": ENTRY}


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Stamp)])
def test_a_file_of_which_anything_changed_is_read_again(
    cache: StatCache, file: ScannedFile, field: str
) -> None:
    cache.keep([(file, ENTRY)], read_at_ns=READ_NS)
    changed = replace(file, stamp=replace(file.stamp, **{field: getattr(file.stamp, field) - 1}))
    assert cache.find([changed]) == {}


def test_the_same_path_elsewhere_is_another_file(
    cache: StatCache, file: ScannedFile, tmp_path: Path
) -> None:
    cache.keep([(file, ENTRY)], read_at_ns=READ_NS)
    assert cache.find([replace(file, real=tmp_path / "other/a/b.json")]) == {}
    assert cache.find([replace(file, path="b.json")]) == {}


def test_another_stores_entries_do_not_count(
    cache: StatCache, file: ScannedFile, tmp_path: Path
) -> None:
    cache.keep([(file, ENTRY)], read_at_ns=READ_NS)
    cache.close()
    assert StatCache(tmp_path / "cache/stat.sqlite", "another").find([file]) == {}


@pytest.mark.parametrize("late", [0, GRAIN_NS - 1])
def test_a_file_read_within_a_tick_of_its_clock_may_have_changed(
    cache: StatCache, file: ScannedFile, late: int
) -> None:
    cache.keep([(file, ENTRY)], read_at_ns=PAST_NS + late)
    assert cache.find([file]) == {}


def test_a_clock_that_ran_ahead_keeps_nothing(cache: StatCache, file: ScannedFile) -> None:
    cache.keep([(file, ENTRY)], read_at_ns=2**62)
    assert cache.find([file]) == {}


@pytest.mark.parametrize("content", [b"noise" * 1000, b""])
def test_a_damaged_cache_is_made_anew(file: ScannedFile, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "stat.sqlite"
    path.write_bytes(content)
    cache = StatCache(path, "store")
    assert cache.find([file]) == {}
    cache.keep([(file, ENTRY)], read_at_ns=READ_NS)
    assert cache.find([file]) == {"a/b.json": ENTRY}
    cache.close()


def test_a_table_of_another_form_is_dropped(file: ScannedFile, tmp_path: Path) -> None:
    path = tmp_path / "stat.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE files (other TEXT)")
    cache = StatCache(path, "store")
    assert cache.find([file]) == {} and not path.exists()
    cache.keep([(file, ENTRY)], read_at_ns=READ_NS)
    assert cache.find([file]) == {"a/b.json": ENTRY}
    cache.close()


def test_an_entry_that_cannot_be_decoded_costs_itself_alone(
    cache: StatCache, file: ScannedFile, tmp_path: Path
) -> None:
    other = replace(file, path="c", real=tmp_path / "out/c")
    cache.keep([(file, ENTRY), (other, replace(ENTRY, path="c"))], read_at_ns=READ_NS)
    cache.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "cache/stat.sqlite")) as connection:
        connection.execute("UPDATE files SET entry = x'ff' WHERE path = 'c'")
        connection.commit()
    assert list(StatCache(tmp_path / "cache/stat.sqlite", "store").find([file, other])) == ["a/b.json"]


def test_where_no_file_can_be_written_memory_has_it(file: ScannedFile, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = StatCache(tmp_path / "file/stat.sqlite", "store")
    cache.keep([(file, ENTRY)], read_at_ns=READ_NS)
    assert cache.find([file]) == {"a/b.json": ENTRY}
    cache.close()
