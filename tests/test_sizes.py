"""How long a file and a function of mstore may be; what is longer is here with its reason.

Tests are as long as their subject: one that follows a format's rules reads best in one file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import mstore

CODE = Path(mstore.__file__).parent
FILE_LINES, BODY_LINES, C_LINES = 400, 50, 300

LONG = {
    "api/repository.py": "one door: a thin method a verb; two files would be two doors",
    "formats/pickled.py:step": "a flat match, a few lines an opcode, is plainer than forty functions",
}
"""What is better long."""


def _bodies(path: Path) -> Iterator[tuple[str, int]]:
    """Each function of a module, and the lines of its body without the docstring."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                end = body[-1].end_lineno
                assert end is not None
                yield node.name, end - body[0].lineno + 1


def _long(root: Path) -> set[str]:
    """What is longer than it may be, below a folder."""
    found = set()
    for path in root.rglob("*.py"):
        name = path.relative_to(root).as_posix()
        if len(path.read_text().splitlines()) > FILE_LINES:
            found.add(name)
        found |= {f"{name}:{body}" for body, lines in _bodies(path) if lines > BODY_LINES}
    for path in root.rglob("*.[ch]"):
        if len(path.read_text().splitlines()) > C_LINES:
            found.add(path.relative_to(root).as_posix())
    return found


def test_files_and_functions_are_short() -> None:
    assert _long(CODE) == set(LONG), "longer than allowed, or an exception too many"


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.py", "x = 1\n" * 401, "a.py"),
        ("b.py", "def f():\n    '''Text.'''\n" + "    x = 1\n" * 51, "b.py:f"),
        ("c.c", "int x;\n" * 301, "c.c"),
    ],
)
def test_what_is_long_is_found(tmp_path: Path, name: str, content: str, found: str) -> None:
    (tmp_path / name).write_text(content)
    assert _long(tmp_path) == {found}
    (tmp_path / name).write_text(content.rpartition("\n")[0].rpartition("\n")[0] + "\n")
    assert _long(tmp_path) == set()
