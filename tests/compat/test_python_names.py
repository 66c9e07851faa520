"""The public Python names of earlier releases: still there, and taking what they took."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore import errors
from tests.compat.api import describe, parameters

HERE = Path(__file__).parent
MOVED = {
    "mstore.ops.checkout": "mstore.checkout.execute",
    "mstore.ops.commitstart": "mstore.commit.options",
    "mstore.ops.compare": "mstore.compare.versions",
    "mstore.ops.diff": "mstore.compare.diff",
    "mstore.ops.du": "mstore.maintain.du",
    "mstore.ops.forget": "mstore.maintain.forget",
    "mstore.ops.fsck": "mstore.maintain.fsck",
    "mstore.ops.gc": "mstore.maintain.gc",
    "mstore.ops.gc.GcResult": "mstore.maintain.gc_run",
    "mstore.ops.importing": "mstore.commit.importing",
    "mstore.ops.log": "mstore.history.log",
    "mstore.ops.log.LogEntry": "mstore.history.entry",
    "mstore.ops.names": "mstore.history.branches",
    "mstore.ops.names.TagEntry": "mstore.history.tags",
    "mstore.ops.names.Undone": "mstore.checkout.undo",
    "mstore.ops.names.undo": "mstore.checkout.undo",
    "mstore.ops.notebook": "mstore.api.results.log",
    "mstore.ops.repack": "mstore.maintain.repack",
    "mstore.ops.repair": "mstore.maintain.repair",
    "mstore.ops.resume": "mstore.staging.resume",
    "mstore.ops.show": "mstore.history.show",
    "mstore.ops.show.Tensor": "mstore.history.tensors",
    "mstore.ops.show.TensorRef": "mstore.history.tensors",
    "mstore.ops.status": "mstore.history.status",
}
"""Where values lie that methods return; docs/python.md never named these modules."""

RENAMED = {"Shown": "CommitDetails"}
"""Values in those modules, which docs/python.md never named either."""

RELEASES = sorted(HERE.glob("api-*.json"))


def _value(dotted: str) -> Any:
    module, _, name = dotted.rpartition(".")
    where = importlib.import_module(MOVED.get(dotted, MOVED.get(module, module)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return getattr(where, RENAMED.get(name, name))


def _now(error: str) -> str:
    """What an error is called today."""
    return str(_value(f"mstore.errors.{error}").__name__) if hasattr(errors, error) else error


def _still_takes(function: Any, before: list[list[Any]], dotted: str) -> None:
    """Whatever call was right before is right now."""
    found = parameters(function)
    assert found is not None, f"{dotted} cannot be called"
    now = {name: (kind, optional) for name, kind, optional in found}
    for name, kind, optional in before:
        assert name in now, f"{dotted} no longer takes {name}"
        assert now[name][1] or not optional, f"{dotted} now demands {name}"
        assert kind in ("KEYWORD_ONLY", now[name][0]), f"{dotted} takes {name} in another way"
    positions, now_positions = (
        [name for name, kind, _ in each if kind == "POSITIONAL_OR_KEYWORD"] for each in (before, found)
    )
    assert now_positions[: len(positions)] == positions, (
        f"{dotted} takes its arguments in another order"
    )
    new = now.keys() - {name for name, _, _ in before}
    for name in new:
        kind, optional = now[name]
        assert optional or kind.startswith("VAR_"), f"{dotted} demands {name}, which it did not know"


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.stem)
def test_public_names_take_what_they_took(release: Path) -> None:
    described = json.loads(release.read_text())
    assert len(described) > 50
    for dotted, about in described.items():
        if dotted.startswith("mstore.ops.") and dotted.rpartition(".")[2].islower():
            continue  # What methods of a Repository called; the methods are held below.
        value = _value(dotted)
        if about.get("init") is not None:
            _still_takes(value, about["init"], dotted)
        if about.get("call") is not None:
            _still_takes(value, about["call"], dotted)
        if "exit_code" in about:
            assert value.exit_code == about["exit_code"], dotted
            assert [b.__name__ for b in value.__mro__[1:-2]] == [_now(b) for b in about["bases"]], (
                dotted
            )
        for name, before in about.get("members", {}).items():
            fields = getattr(value, "__dataclass_fields__", {})
            assert hasattr(value, name) or name in fields, f"{dotted} has no {name}"
            if before is not None:
                found = inspect.getattr_static(value, name)
                _still_takes(getattr(found, "__func__", found), before, f"{dotted}.{name}")


def test_the_next_release_can_be_described() -> None:
    described = describe()
    assert described["mstore.api.repository.Repository"]["members"]["commit"]
    assert len(described) >= len(json.loads(RELEASES[-1].read_text()))


def test_a_lost_keyword_is_found() -> None:
    def before(a: int, *, b: int = 0) -> None: ...

    def without(a: int) -> None: ...

    def demanding(a: int, *, b: int) -> None: ...

    def renamed(x: int, *, b: int = 0) -> None: ...

    known = parameters(before)
    assert known is not None
    _still_takes(before, known, "before")
    for broken in (without, demanding, renamed):
        with pytest.raises(AssertionError):
            _still_takes(broken, known, "before")


def test_the_page_names_all_that_a_repository_has() -> None:
    page = (HERE.parents[1] / "docs/python.md").read_text()
    public = {name for name in dir(mstore.Repository) if not name.startswith("_")}
    missing = {name for name in public if not re.search(rf"`{name}[`(]", page)}
    # Ways to the rooms below, without a promise; `with` closes.
    assert missing == {"close", "context", "store"}
