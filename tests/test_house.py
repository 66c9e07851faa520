"""How the house is built: no modules import each other in a circle."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import mstore

CODE = Path(mstore.__file__).parent


def _modules(root: Path) -> dict[str, Path]:
    """Modules of a package by dotted name; a package is its `__init__`."""
    found = {}
    for path in root.rglob("*.py"):
        parts = [root.name, *path.relative_to(root).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """What each module imports of the others, wherever in it: at its top, lazily, or for types."""
    graph: dict[str, set[str]] = {}
    for name, path in modules.items():
        targets = graph.setdefault(name, set())
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    targets.add(inner if inner in modules else node.module)
        targets &= modules.keys()
        targets.discard(name)
    return graph


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = imports_of(_modules(CODE))
    assert len(graph) > 150
    tuple(TopologicalSorter(graph).static_order())


def test_all_file_locks_go_through_one_module() -> None:
    """`fs/durable.py` has fcntl for F_FULLFSYNC alone, which is no lock."""
    importing, locking = set(), set()
    for path in CODE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import) and any(a.name == "fcntl" for a in node.names):
                importing.add(str(path.relative_to(CODE)))
            assert not (isinstance(node, ast.ImportFrom) and node.module == "fcntl"), path
            if isinstance(node, ast.Attribute) and node.attr in ("flock", "lockf"):
                locking.add(str(path.relative_to(CODE)))
    assert importing == {"fs/locks.py", "fs/durable.py"}
    assert locking == {"fs/locks.py"}


@pytest.mark.parametrize("room", ["cli", "hf", "training"])
def test_nobody_reaches_through_the_door(room: str) -> None:
    """Imports are held by import-linter; this holds what a Repository shows of the rooms below."""
    asked = set()
    for path in (CODE / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("context", "store"):
                asked.add(f"{path.relative_to(CODE)}: {ast.unparse(node)}")
    own = {"cli/context.py: self.store", "cli/commands/init.py: settings().store"}
    assert asked == (own if room == "cli" else set())


def test_what_the_system_says_is_translated_in_one_module() -> None:
    """What else names `strerror` makes a warning, a refusal of its own, or the command line's line."""
    elsewhere = {
        str(path.relative_to(CODE))
        for path in CODE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "strerror"
    }
    assert elsewhere - {"fs/failures.py"} == {
        "checkout/beside.py",
        "cli/__init__.py",
        "api/metadata.py",
        "commit/importing.py",
        "fs/durable.py",
        "staging/queue.py",
    }


@pytest.mark.parametrize(
    "importing",
    [
        "from box import b",
        "import box.b",
        "def f():\n    from box.b import thing",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from box.b import thing",
    ],
)
def test_a_circle_is_found(tmp_path: Path, importing: str) -> None:
    box = tmp_path / "box"
    box.mkdir()
    (box / "__init__.py").write_text("")
    (box / "a.py").write_text(importing)
    (box / "b.py").write_text("from box import c\nthing = 1")
    (box / "c.py").write_text("import box.a")
    with pytest.raises(CycleError):
        tuple(TopologicalSorter(imports_of(_modules(box))).static_order())
