"""Tests mirror the rooms: a module of a room is tested by the file of its name in the room's folder."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mstore

ROOT = Path(__file__).resolve().parents[1]
CODE = Path(mstore.__file__).parent

ELSEWHERE = {
    "__init__.py": ("tests/compat/test_python_names.py", "the names that users import"),
    "api/repository.py": (
        "tests/property/test_repository_state.py",
        "a door: each method calls one function that its room tests; here many calls in any order",
    ),
    "api/results/*": ("tests/unit/api/test_printing.py", "each prints what its command prints"),
    "backend/*": ("tests/conformance/test_backends.py", "one suite over every backend"),
    "cli/__init__.py": ("tests/cli/test_interrupted.py", "exit codes, of processes that are started"),
    "cli/commands/*": ("tests/cli", "typed, and what comes out is read"),
    "codec/twin/*": ("tests/property/test_kernel.py", "the same bytes as the kernel in C"),
    "hf/*": ("tests/hf/test_loading.py", "`load_state_dict`, as users import it, beside `load`"),
    "render/json/*": ("tests/cli/test_json.py", "each command's object against its type"),
    "store/transaction.py": ("tests/unit/store/test_store.py", "what it puts in is what a store gives"),
}
"""What has no file of its name: which file or folder tests it, and why that is better.

The file (of a folder, one of its files) imports the module or, for all of a package, the package;
a command is typed.
"""


def modules(code: Path) -> Iterator[str]:
    """Paths of the modules that have a function or a method."""
    for path in sorted(code.rglob("*.py")):
        tree = ast.parse(path.read_text())
        if any(isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) for node in ast.walk(tree)):
            yield path.relative_to(code).as_posix()


def own_test(module: str) -> str:
    """The file that a module's tests belong into."""
    folder, _, name = module.rpartition("/")
    if name == "__init__.py":
        folder, _, name = folder.rpartition("/")
    where = ("tests",) if folder.startswith(("cli", "hf")) else ("tests", "unit")
    return "/".join([*where, *([folder] if folder else []), f"test_{name.removesuffix('.py')}.py"])


def row_of(module: str) -> str | None:
    """The row of the table that is about a module."""
    package = module.rpartition("/")[0]
    return next((row for row in (module, f"{package}/*") if row in ELSEWHERE), None)


def names_of(module: str, row: str) -> list[str]:
    """How a test names a module: it imports it, or its package where the row is about all of that."""
    last = module.rpartition("/")[2].removesuffix(".py")
    if row == "cli/commands/*":
        return [rf"\bmstore\(\s*\"{last.rstrip('_')}\""]
    path = row.removesuffix("/*").removesuffix(".py").removesuffix("__init__").strip("/")
    dotted = ".".join(["mstore", *path.split("/")]) if path else "mstore"
    package, _, name = dotted.rpartition(".")
    return [rf"\b{re.escape(dotted)}\b", rf"from {re.escape(package)} import [^\n]*\b{name}\b"]


def is_named_in(module: str, row: str, place: Path) -> bool:
    """Whether a file of tests, or one in a folder of tests, names a module."""
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    text = "\n".join(file.read_text() for file in files)
    return any(re.search(name, text) for name in names_of(module, row))


MODULES = tuple(modules(CODE))


def test_each_room_has_its_folder() -> None:
    rooms = {module.split("/")[0] for module in MODULES if "/" in module}
    assert len(rooms) >= 20
    elsewhere = {"backend": "conformance", "cli": "cli", "hf": "hf"}
    places = {room: f"tests/{elsewhere.get(room, f'unit/{room}')}" for room in rooms}
    assert {room for room, place in places.items() if not (ROOT / place).is_dir()} == set()


@pytest.mark.parametrize("module", MODULES)
def test_each_module_has_its_test(module: str) -> None:
    """Where it has none: write it. A row in the table is for what is tested better elsewhere."""
    if (ROOT / own_test(module)).exists():
        return
    row = row_of(module)
    assert row is not None, f"{module} has no {own_test(module)}"
    place, _ = ELSEWHERE[row]
    assert is_named_in(module, row, ROOT / place), f"{place} does not name {module}"


def test_the_table_is_needed() -> None:
    needed = {row_of(module) for module in MODULES if not (ROOT / own_test(module)).exists()}
    assert set(ELSEWHERE) <= needed, "a row that no module needs"


def test_a_test_in_a_rooms_folder_is_called_after_a_module() -> None:
    """Or it tests several of the room together, and stands here."""
    together = {
        "tests/unit/api/test_notebook.py",
        "tests/unit/api/test_printing.py",
        "tests/unit/maintain/test_plans.py",
    }
    own = {own_test(path.relative_to(CODE).as_posix()) for path in CODE.rglob("*.py")}
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests/unit").rglob("test_*.py")}
    assert there - own == together


@pytest.mark.parametrize(
    ("module", "row", "text", "named"),
    [
        ("fs/locks.py", "fs/locks.py", "from mstore.fs.locks import take_lock", True),
        ("fs/locks.py", "fs/locks.py", "from mstore.fs import durable, locks", True),
        ("fs/locks.py", "fs/locks.py", "import mstore.fs.locks_of_another", False),
        ("fs/locks.py", "fs/*", "from mstore import fs", True),
        ("fs/locks.py", "fs/*", "from mstore.store import fs", False),
        ("cli/commands/import_.py", "cli/commands/*", 'mstore("import", "x")', True),
        ("cli/commands/import_.py", "cli/commands/*", 'mstore("imported")', False),
    ],
)
def test_what_names_a_module(tmp_path: Path, module: str, row: str, text: str, named: bool) -> None:
    (tmp_path / "test_it.py").write_text(text)
    for place in (tmp_path, tmp_path / "test_it.py"):
        assert is_named_in(module, row, place) is named
