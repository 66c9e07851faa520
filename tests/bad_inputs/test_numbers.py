"""Every number of the list of bad inputs from 1 to 70 has a test on these pages."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

PAGES = ("test_safetensors", "test_objects", "test_directories", "test_paths", "test_faults")


def _ids(page: str) -> list[str]:
    """Ids of a page's cases, and names of its tests."""
    module: Any = importlib.import_module(f"tests.bad_inputs.{page}")
    found = []
    for name, value in vars(module).items():
        if not name.startswith("test_") or getattr(value, "__module__", None) != module.__name__:
            continue
        found.append(name.removeprefix("test_"))
        for mark in getattr(value, "pytestmark", ()):
            if mark.name == "parametrize":
                found += [str(p.id) for p in mark.args[1] if getattr(p, "id", None)]
    return found


def test_no_number_is_missing() -> None:
    counts: Counter[int] = Counter()
    for page in PAGES:
        for id in _ids(page):
            match = re.match(r"n(\d+)[-_]", id)
            if match is not None:
                counts[int(match.group(1))] += 1
    missing = [number for number in range(1, 71) if not counts[number]]
    assert not missing, f"bad inputs without a test: {missing}"
    assert max(counts) == 70


def test_every_page_is_looked_at() -> None:
    there = {p.stem for p in Path(__file__).parent.glob("test_*.py")} - {"test_numbers"}
    assert there == set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_ids_stand_once(page: str) -> None:
    module: Any = importlib.import_module(f"tests.bad_inputs.{page}")
    for name, value in vars(module).items():
        for mark in getattr(value, "pytestmark", ()):
            if mark.name == "parametrize":
                ids = [p.id for p in mark.args[1] if getattr(p, "id", None)]
                assert len(ids) == len(set(ids)), name
