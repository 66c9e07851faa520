"""What docs/python.md of 0.2 told people to type still does what it said."""

from __future__ import annotations

import ast
import inspect
import re
import tokenize
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore import errors
from tests.compat.api import parameters
from tests.conftest import contents, write_adapter, write_model

PAGE = (Path(__file__).parent / "python-0.2.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@contextmanager
def _as_deprecated_at_most() -> Iterator[None]:
    """A name of 0.2 may have another now: it warns, and works. Nothing else may be warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    other = [str(w.message) for w in caught if not issubclass(w.category, DeprecationWarning)]
    assert not other, other


def _two_adapters(repo: mstore.Repository, folder: Path) -> None:
    """`r4` and `r8`, which the page takes for granted."""
    for rank in (4, 8):
        write_adapter(folder / f"r{rank}", rank=rank)
        repo.commit(folder / f"r{rank}", branch=f"r{rank}", start="", message=f"r={rank}")


# -- the code on the page


def _said(source: str) -> dict[int, str]:
    """The comment of each line."""
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    return {
        t.start[0]: t.string.removeprefix("#").strip() for t in tokens if t.type == tokenize.COMMENT
    }


def _pattern(shown: str) -> str:
    """Ids differ from store to store."""
    return re.sub(r"\b[0-9a-f]{7}\b", "[0-9a-f]{7}", re.escape(shown))


def test_the_page_has_code() -> None:
    assert len(BLOCKS) == 1 and BLOCKS[0].count("repo.") >= 5


def test_the_code_does_what_the_page_shows(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each statement in turn; a comment that is output or a value is compared with it."""
    (source,) = BLOCKS
    said, names, compared = _said(source), dict[str, Any](), []
    write_model(workshop / "work/out", seed=1)
    with _as_deprecated_at_most():
        for statement in ast.parse(source).body:
            text, comment = ast.unparse(statement), said.get(statement.end_lineno or 0, "")
            if not isinstance(statement, ast.Expr):
                exec(text, names)
                if text.startswith("repo ="):  # the history that the rest speaks of
                    names["repo"].commit(message="before")
                    _two_adapters(names["repo"], workshop)
                    write_model(workshop / "work/out", seed=2)
                continue
            value, out = eval(text, names), capsys.readouterr().out
            if text.startswith("print("):
                assert re.match(_pattern(comment), out), f"{text} printed {out}, not {comment}"
                compared.append(comment)
            elif comment.startswith(("(", "[", "{")):
                assert value == ast.literal_eval(comment), text
                compared.append(comment)
    assert compared == ["[main 3f9c1ab] r=8 lr=2e-4", "(8,)"]
    repo, result = names["repo"], names["result"]
    assert result.new_bytes > 0 and result.warnings == ()
    assert [entry.message for entry in repo.log()] == ["r=8 lr=2e-4", "before"]
    # The note came later; the id stayed.
    (entry, _) = repo.log()
    assert entry.id == result.id and entry.metrics == {"eval_loss": 1.84, "mmlu": 0.412}
    assert contents(workshop / "best") == contents(write_model(workshop / "seed 1", seed=1))


# -- the calls of its tables


def _calls() -> dict[str, set[str]]:
    """Each call of the tables, and the keywords that are named in its parentheses."""
    found: dict[str, set[str]] = {}
    for cell in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE):
        for code in re.findall(r"`([^`]+)`", cell):
            for name, inside in re.findall(r"([\w.]+)(?:\(([^)]*)\))?(?:, |$)", code):
                words = (part.partition("=")[0].strip(" *") for part in inside.split(","))
                found[name] = {w for w in words if w.isidentifier()}
    return found


Call = Callable[[mstore.Repository, Path], object]
CALLS: dict[str, Call] = {
    "mstore.init": lambda repo, at: mstore.init(
        at / "a", store=at / "s", shared=False, model_dir=at / "m", force=False
    ),
    "mstore.open": lambda repo, at: [
        mstore.open(at),
        mstore.open(store=repo.store.path, cache=at / "cache", author="Ada"),
        mstore.open(workspace=at),
    ],
    "mstore.diff": lambda repo, at: mstore.diff(at / "r4", at / "r8", stat=True).lora,
    "mstore.weights_id": lambda repo, at: mstore.weights_id(at / "out"),
    "commit": lambda repo, at: repo.commit(
        at / "r4",
        message="m",
        branch="new",
        start="main",
        base="main",
        without=["training-state"],
        metadata={"lr": 1},
        metrics={"loss": 1.0},
        append=False,
        allow_empty=True,
        strict=False,
        by_hand=True,
        author="Grace",
        progress=None,
    ),
    "note": lambda repo, at: repo.note("HEAD", metrics={"late": 1.0}, metadata={"verdict": "ok"}),
    "checkout": lambda repo, at: [
        repo.checkout("HEAD~1", to=at / "best", force=False, progress=None),
        repo.checkout("HEAD~1", new_branch="retry"),
    ],
    "import_folders": lambda repo, at: repo.import_folders(
        [write_model(at / "run/checkpoint-1")], branch="old", dry_run=True, progress=None
    ),
    "status": lambda repo, at: repo.status(),
    "log": lambda repo, at: repo.log("main", limit=5, all=False, where="loss <= 3", sort="loss")[0],
    "show": lambda repo, at: repo.show("HEAD").entry,
    "diff": lambda repo, at: [repo.diff("r4", "r8", stat=True), repo.diff("HEAD", at / "r4")],
    "resolve": lambda repo, at: repo.resolve("HEAD~1").hex,
    "manifest": lambda repo, at: repo.manifest("HEAD").by_path["config.json"],
    "facts": lambda repo, at: repo.facts("r8").adapters,
    "read_file": lambda repo, at: repo.read_file("HEAD", "config.json"),
    "cat": lambda repo, at: b"".join(repo.cat("HEAD", "config.json")),
    "tensors": lambda repo, at: repo.tensors("HEAD")[0].dtype,
    "read_tensor": lambda repo, at: (
        repo.read_tensor("HEAD", "head.weight", path="model.safetensors", rows=(0, 2)).buffer
    ),
    "fill_tensors": lambda repo, at: _fill(repo),
    "branches": lambda repo, at: repo.branches()["r4"],
    "list_branches": lambda repo, at: repo.list_branches()[0].name,
    "make_branch": lambda repo, at: repo.make_branch("b", "r4"),
    "delete_branch": lambda repo, at: repo.delete_branch("r4"),
    "rename_branch": lambda repo, at: repo.rename_branch("r4", "four"),
    "list_tags": lambda repo, at: repo.list_tags()[0].name,
    "make_tag": lambda repo, at: repo.make_tag("v2", "r4", message="second"),
    "delete_tag": lambda repo, at: repo.delete_tag("v1"),
    "rename_tag": lambda repo, at: repo.rename_tag("v1", "v0"),
    "reflog": lambda repo, at: repo.reflog("main")[0],
    "undo": lambda repo, at: repo.undo("r8").action,
    "fsck": lambda repo, at: repo.fsck(quick=True, progress=None).ok,
    "repair": lambda repo, at: repo.repair(source=None, progress=None),
    "plan_gc": lambda repo, at: repo.plan_gc(now=True).freed_bytes + 1,
    "gc": lambda repo, at: repo.gc(repo.plan_gc(), now=False, progress=None),
    "plan_forget": lambda repo, at: repo.plan_forget(
        "training-state", keep_last=2, keep_best="loss", branch="main"
    ),
    "forget": lambda repo, at: repo.forget("training-state", keep_last=2),
    "run_forget": lambda repo, at: repo.run_forget(repo.plan_forget("tokenizer", keep_last=1)),
    "compare": lambda repo, at: repo.compare("HEAD~1", "HEAD", everything=True).rows,
    "resume": lambda repo, at: repo.resume("HEAD", to=at / "again", force=False),
    "path": lambda repo, at: list(repo.path("HEAD", limit_bytes=1 << 30).iterdir()),
    "du": lambda repo, at: repo.du("HEAD", "r4"),
    "repack": lambda repo, at: repo.repack(progress=None),
}
"""Each as 0.2 took it."""

SAYS_NOTHING = {"rename_branch", "rename_tag", "fill_tensors", "note", "make_branch", "make_tag"}
"""Called for what they do."""


def _fill(repo: mstore.Repository) -> None:
    wanted = [(t, memoryview(bytearray(t.size_bytes))) for t in repo.tensors("HEAD")]
    repo.fill_tensors("HEAD", wanted)
    for tensor, memory in wanted:
        assert memory == memoryview(repo.read_tensor("HEAD", tensor.name).buffer).cast("B")


def test_every_call_of_the_tables_is_tried() -> None:
    assert set(CALLS) == set(_calls())


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_call_of_the_tables(name: str, workshop: Path) -> None:
    owner: object = mstore if name.startswith("mstore.") else mstore.Repository
    function = getattr(owner, name.removeprefix("mstore."))
    missing = _calls()[name] - {parameter[0] for parameter in parameters(function) or ()}
    assert not missing, f"{name} no longer takes {missing}"
    repo = mstore.init(workshop, model_dir=workshop / "out")
    for seed in (1, 2):
        write_model(workshop / "out", seed=seed)
        (workshop / "out/optimizer.pt").write_bytes(bytes(range(100 + seed)))
        (workshop / "out/trainer_state.json").write_text('{"global_step": 1}')
        repo.commit(message=f"seed {seed}", metrics={"loss": 2.0 + seed})
    _two_adapters(repo, workshop)
    repo.make_tag("v1", "main")
    with _as_deprecated_at_most(), repo:
        got = CALLS[name](repo, workshop)
    assert got or name in SAYS_NOTHING, f"{name} gave {got!r}"
    assert mstore.open(workshop).fsck().ok


# -- the errors and the names for torch


def _errors() -> dict[str, set[str]]:
    section = PAGE[PAGE.index("## Errors") : PAGE.index("## mstore.hf")]
    return {
        name: set(re.findall(r"`\.(\w+)`", fields))
        for name, fields in re.findall(r"`(?:[a-z.]+)?([A-Z]\w+)`(?: \(((?:`\.\w+`)[^)]*)\))?", section)
    }


def test_the_errors_of_the_page() -> None:
    found = _errors()
    assert len(found) == 17 and found["BadFile"] == {"tensor"}
    with _as_deprecated_at_most():
        for name, fields in found.items():
            kind = getattr(errors, name)
            assert issubclass(kind, errors.MStoreError)
            taken = inspect.signature(kind).parameters
            for field in fields:
                assert field in taken or hasattr(kind, field), f"{name} has no .{field}"
        error = errors.RevisionNotFound("mian", near=("main",))
        assert (error.near, error.hint, error.exit_code) == (("main",), "near it: main", 3)
        assert "mian" in error.message


def test_the_names_for_torch() -> None:
    pytest.importorskip("torch")
    from mstore import hf

    named = set(re.findall(r"^`(\w+)\(", PAGE[PAGE.index("## mstore.hf") :], re.MULTILINE))
    assert named == {"MStoreCallback", "load", "load_state_dict"}
    assert named <= set(hf.__all__)
    assert [*inspect.signature(hf.load_state_dict).parameters][:4] == ["repo", "rev", "names", "device"]
    assert [*inspect.signature(hf.load).parameters][:2] == ["repo", "rev"]
