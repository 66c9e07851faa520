"""Words of docs/glossary.md: names, messages and docstrings use the field's words."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import mstore

CODE = Path(mstore.__file__).parent
BANNED = {
    "DeadCommit": "UnreachableCommit",
    "Found": "Scan",
    "FoundFile": "ScannedFile",
    "Held": "LocalCopy",
    "Lean": "TempRoots",
    "Place": "Context",
    "Refused": "InvalidInput",
    "Shown": "CommitDetails",
    "Side": "DiffSide",
    "Unconfirmed": "DurabilityUnknown",
    "Vanished": "ObjectRemoved",
    "again": "recode_source, rewrite",
    "alike": "json_equal, find_similar",
    "apart": "exclude",
    "bring_back": "undelete, roll_back",
    "came_back": "undeleted",
    "check_whole": "check_complete",
    "clear_way": "clear_obstruction",
    "firm": "required",
    "from_plain": "from_dict, from_list",
    "going_on": "defer_unconfirmed",
    "head_ready": "prepare_head",
    "in_the_way": "find_obstructions",
    "lean": "open_temp_roots",
    "lean_on": "protect",
    "leaning_on": "protecting",
    "leans": "temporary_roots",
    "leant_on": "temporary_roots_of",
    "let_go": "purged",
    "mend_log": "repair_reflog",
    "mended": "repaired",
    "put_away": "soft_delete",
    "reach_of": "reachability_of",
    "remembering": "journaled",
    "set_aside": "stash_existing",
    "sought": "filter_and_sort",
    "standing": "prepare_head",
    "take_in": "index_pack",
    "whatever": "force",
}
"""Names in code → what they are called."""

PHRASES = {
    r"stands?|stood|standing": "HEAD points to; the current branch; names; is",
    r"anew": "again; re-encoded; rewritten",
    r"(come|comes|came|coming) back": "is restored; is undeleted; is returned",
    r"bring|brings|brought": "restores",
    r"leans?|leant|leaning": "depends on; protects",
    r"of which nothing": "unneeded packs; for which nothing is",
    r"is due": "is expected",
    r"told": "is given; is called with; is reported",
    r"(no|any|some)body|whoever": "no process; another process; the caller; a user",
    r"(files|packs|objects|commits|versions) right already": "unchanged",
}
"""Phrases in texts → what to write instead. Whole words, in any case."""
ON_DISK = {
    "leans-1": "a feature of stores, by its name on the disk",
    ".lean": "the ending of files of temporary roots",
}
"""Parts of texts that are passed over, and why."""
WHOLE_TEXTS = {
    ("context.py", "stand"): "the action of a pin's reflog, on the disk",
    ("backend/upload.py", "lean"): "the step that proofs count, by the name of its file",
    ("backend/__init__.py", "Lean"): "a name of 0.2, which works until 1.0",
    ("fs/temp.py", "LEAN"): "the constant of the ending `.lean`",
}
"""Texts that are passed over in one module, and why."""
PAGES = ("README.md", "docs/cli.md", "docs/json.md", "docs/json-introduction.md")
PROMISED = re.compile(r"\| (2|5|141) \| .* \|")
"""Rows of exit codes, whose words `tests/compat` holds until 1.0."""
_PHRASE = re.compile(r"(?i)\b(?:" + "|".join(PHRASES) + r")\b")

_NO_VERBS = """
A All An Any As At Both By Each Every Everything Exactly For From How If In It Its None Of On
One Only Some The Their These This Those Until What When Where Whether Which Who Why With
Around Elements Error Figure Key Kind Line Metadata Moment Number Pair Part Path Row Size Text
Value Version Word
"""
NO_VERBS = frozenset(_NO_VERBS.split())
"""Words that begin no sentence in the imperative, beside plurals (see `_begins_with_a_verb`)."""
NO_SENTENCE = {("cli/app.py", "app"): "the help of `mstore` says what the program is"}
"""Functions whose docstring is no sentence, and why."""


def banned_names(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of each banned name in a module's code (comments and texts are not code)."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.NAME or "renamed_field(" in token.line:
            continue  # The names of earlier releases still work.
        if token.string in BANNED:
            yield token.start[0], token.string


@pytest.mark.parametrize("path", sorted(CODE.rglob("*.py")), ids=lambda p: str(p.relative_to(CODE)))
def test_the_fields_names_are_used(path: Path) -> None:
    found = [f"line {n}: {name} is {BANNED[name]}" for n, name in banned_names(path.read_text())]
    assert not found, "\n".join(found)


def test_a_banned_name_is_found() -> None:
    source = 'def f(place):\n    """leans"""\n    return place.head_ready  # lean\n'
    assert list(banned_names(source)) == [(3, "head_ready")]


def _strip(text: str) -> str:
    for name in ON_DISK:
        text = text.replace(name, "")
    return text


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Line and content of each string constant, docstrings and parts of f-strings among them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for offset, line in enumerate(node.value.split("\n")):
                yield node.lineno + offset, line


def banned_phrases(lines: Iterator[tuple[int, str]]) -> list[str]:
    return [
        f"line {number}: {found[0]!r} in {line.strip()!r}"
        for number, line in lines
        if (found := _PHRASE.search(_strip(line)))
    ]


@pytest.mark.parametrize("path", sorted(CODE.rglob("*.py")), ids=lambda p: str(p.relative_to(CODE)))
def test_texts_use_the_fields_words(path: Path) -> None:
    name = path.relative_to(CODE).as_posix()
    found = banned_phrases(
        (number, line) for number, line in texts(path.read_text()) if (name, line) not in WHOLE_TEXTS
    )
    assert not found, "\n".join([*found, "write instead, as it fits:", *PHRASES.values()])


@pytest.mark.parametrize("page", PAGES)
def test_pages_use_the_fields_words(page: str) -> None:
    lines = (CODE.parent / page).read_text().splitlines()
    found = banned_phrases(
        (number, line) for number, line in enumerate(lines, 1) if not PROMISED.fullmatch(line)
    )
    assert not found, "\n".join([*found, "write instead, as it fits:", *PHRASES.values()])


def test_a_banned_phrase_is_found() -> None:
    source = (
        'def f(x):\n    """Be.\n\n    Whoever asks.\n    """\n    return f"{x} stands on `leans-1`"\n'
    )
    assert len(banned_phrases(texts(source))) == 2


@pytest.mark.parametrize(("name", "text"), sorted(WHOLE_TEXTS))
def test_an_exception_is_still_there(name: str, text: str) -> None:
    assert text in (line for _, line in texts((CODE / name).read_text()))


def _begins_with_a_verb(line: str) -> bool:
    word = line.partition(" ")[0].rstrip(",.")
    return (
        re.fullmatch(r"[A-Z][a-z]+(-[a-z]+)?", word) is not None
        and word not in NO_VERBS
        and re.search(r"[^s]s$|tion$|ness$|ity$", word) is None
    )


def _is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    names = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(names & {"property", "cached_property", "setter"})


@pytest.mark.parametrize("path", sorted(CODE.rglob("*.py")), ids=lambda p: str(p.relative_to(CODE)))
def test_docstrings_of_functions_begin_with_a_verb(path: Path) -> None:
    """ruff's D401 takes a noun or a question word for a verb. Properties may have a noun."""
    name = path.relative_to(CODE).as_posix()
    found = [
        f"line {node.lineno}: {node.name}: {line}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and not _is_property(node)
        and (name, node.name) not in NO_SENTENCE
        and (line := (ast.get_docstring(node) or "").partition("\n")[0])
        and not _begins_with_a_verb(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("line", "begins"),
    [
        ("Return whether it holds.", True),
        ("Re-encode objects.", True),
        ("Pass it on.", True),
        ("Whether it holds.", False),
        ("Versions, the latest first.", False),
        ("Names of refs.", False),
        ("JSON as it is.", False),
        ("`wanted`, or another one.", False),
    ],
)
def test_a_noun_is_no_verb(line: str, begins: bool) -> None:
    assert _begins_with_a_verb(line) == begins


def test_no_two_classes_have_one_name() -> None:
    seen: dict[str, str] = {}
    for path in sorted(CODE.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                where, name = str(path.relative_to(CODE)), node.name.lstrip("_")
                assert name not in seen, f"{name} is in {seen[name]} and in {where}"
                seen[name] = where
    assert len(seen) > 100
