"""Every place that durability rests on, and what it is when it is taken out.

Calls that sync, lock or tell what is leant on are found in the source: one that
is added without a proof that misses it is a mutant that survives. Comparisons
and looks at what was just written are few and stand in a table; an entry that
matches nothing any more is an error.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NOTHING: Final = "None"
_CONTEXT: Final = "__import__('contextlib').nullcontext()"
_CALLS: Final = {
    "fsync": _NOTHING,
    "fsync_file": _NOTHING,
    "fsync_folder": _NOTHING,
    "_fsync_folders": _NOTHING,
    "flock": _NOTHING,
    "take_lock": "True",
    "lock": _CONTEXT,
    "protect": _NOTHING,
    "check_pack": _NOTHING,
    "_temp_roots.add": _NOTHING,
    "_store.lacks": "()",
}

EXEMPT: Final = {
    "fs/locks.py:locks_work:take_lock": "probes whether locks work; protects nothing",
    "backend/local.py:activity:lock": "looks who holds a lock, for `status`",
    "backend/local.py:rename:_fsync_folders": (
        "a pack whose way into the trash or back is lost in a power cut lies where readers look as"
        " well; the sync only shortens the time in which the kernel has not decided"
    ),
    "backend/local.py:_fsync_folders:fsync_folder": "what `rename` calls",
}
"""Found sites that nothing rests on, with the reason."""


@dataclass(frozen=True)
class Mutant:
    """A source file with one thing taken out.

    Args:
        name: of the site: file, function, what.
        file: below `mstore/`.
        kind: `"sync"`, `"lock"`, `"lean"`, `"compare"` or `"check"`.
        source: the changed text.
    """

    name: str
    file: str
    kind: str
    source: str


@dataclass(frozen=True)
class _Patch:
    file: str
    name: str
    kind: str
    old: str
    new: str


PATCHES: Final = (
    _Patch(
        "backend/local.py",
        "compare_and_swap:compares the value",
        "compare",
        "            if current != expected:\n                return False\n",
        "",
    ),
    _Patch(
        "store/refs.py",
        "move:compares the target",
        "compare",
        "if not force and (current.target if current else None) != expected:",
        "if False:",
    ),
    _Patch(
        "store/refs.py",
        "move:writes the record first",
        "sync",
        "                number = self._append(name, current, new, move)\n",
        "                number = (current.generation if current else 0) + 1\n",
    ),
    _Patch(
        "store/reflog.py",
        "_append:replaces the record of a move that never happened",
        "compare",
        "if current is not None and last > current.generation and lines:",
        "if False:",
    ),
    _Patch(
        "backend/upload.py",
        "_guarded:a failed sync poisons",
        "check",
        "            self._poisoned = True\n",
        "",
    ),
    _Patch(
        "store/reader.py",
        "stream:hashes what it read",
        "check",
        "        if found != id.raw:\n            raise",
        "        if False:\n            raise",
    ),
    _Patch(
        "store/reader.py",
        "_read_whole:hashes what it read",
        "check",
        "        if object_id(id.kind, content) != id:\n            raise",
        "        if False:\n            raise",
    ),
    _Patch(
        "store/pack_index.py",
        "_look_again:a pack that went while it was read",
        "check",
        "        if not complete:\n            return False\n",
        "",
    ),
    _Patch(
        "store/pack_index.py",
        "_look_again:a pack that moved to a folder seen before",
        "check",
        "        if gone and self._change_tokens() != stamps:\n            return False\n",
        "",
    ),
    _Patch(
        "store/reader.py",
        "copies:looks into the trash",
        "check",
        "                self.undelete(lambda i: i == id)\n",
        "                self.refresh()\n",
    ),
    _Patch(
        "store/reader.py",
        "copies:what went while it was read may come back",
        "check",
        "                    tried.discard((location.pack, location.frame))  # It may be restored.\n",
        "                    pass\n",
    ),
    _Patch(
        "store/pack_index.py",
        "undelete:looks at the packs after the trash",
        "check",
        "            self._fetch(wanted)\n        self.refresh()\n",
        "            self._fetch(wanted)\n",
    ),
    _Patch(
        "maintain/pack_removal.py",
        "soft_delete:asks what is leant on after the packs are away",
        "lean",
        "    temporary_roots = list(temporary_roots_of(store.backend))\n",
        "    temporary_roots = []\n",
    ),
    _Patch(
        "maintain/pack_removal.py",
        "soft_delete:asks what is needed after the packs are away",
        "lean",
        "    must_stay = needed()\n",
        "    must_stay = lambda id: False\n",
    ),
)


def _called(node: ast.Call) -> str | None:
    if isinstance(node.func, ast.Name):
        return node.func.id if node.func.id in _CALLS else None
    if isinstance(node.func, ast.Attribute):
        dotted = ast.unparse(node.func)
        for name in _CALLS:
            if dotted == name or dotted.endswith("." + name):
                return name
    return None


def _kind(call: str) -> str:
    if "fsync" in call:
        return "sync"
    if call in ("flock", "take_lock", "lock"):
        return "lock"
    return "check" if call == "check_pack" else "lean"


def _found(package: Path) -> Iterator[tuple[str, Mutant]]:
    for path in sorted(package.rglob("*.py")):
        text, file = path.read_text("utf-8"), path.relative_to(package).as_posix()
        count: Counter[str] = Counter()
        for function, node in _calls(ast.parse(text)):
            call = _called(node)
            if call is None:
                continue
            site = f"{file}:{function}:{call}"
            count[site] += 1
            name = site if count[site] == 1 else f"{site} ({count[site]})"
            yield site, Mutant(name, file, _kind(call), _replaced(text, node, _CALLS[call]))


def _calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Calls with the innermost function that they stand in."""

    def walk(node: ast.AST, function: str) -> Iterator[tuple[str, ast.Call]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call):
                yield function, child
            inside = child.name if isinstance(child, ast.FunctionDef) else function
            yield from walk(child, inside)

    yield from walk(tree, "")


def _replaced(text: str, node: ast.Call, new: str) -> str:
    lines = text.encode().splitlines(keepends=True)
    assert node.end_lineno is not None and node.end_col_offset is not None
    before = b"".join(lines[: node.lineno - 1]) + lines[node.lineno - 1][: node.col_offset]
    after = lines[node.end_lineno - 1][node.end_col_offset :] + b"".join(lines[node.end_lineno :])
    return (before + new.encode() + after).decode()


def mutants(package: Path) -> list[Mutant]:
    """All mutants of a package.

    Raises:
        LookupError: an entry of a table matches nothing, or more than one place.
    """
    found = list(_found(package))
    stale = set(EXEMPT) - {site for site, _ in found}
    if stale:
        raise LookupError(f"exempt, but not there: {sorted(stale)}")
    made = [mutant for site, mutant in found if site not in EXEMPT]
    for patch in PATCHES:
        text = (package / patch.file).read_text("utf-8")
        if text.count(patch.old) != 1:
            raise LookupError(f"{patch.file}:{patch.name}: {text.count(patch.old)} places match")
        source = text.replace(patch.old, patch.new)
        made.append(Mutant(f"{patch.file}:{patch.name}", patch.file, patch.kind, source))
    return made
