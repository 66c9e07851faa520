"""`--json` is an interface: every command, every form, every failure, against the types."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import click
import pytest

from docs import json_page
from mstore import errors
from mstore.cli.app import app
from mstore.cli.json_output import show_json_list
from mstore.render.json import SCHEMA
from mstore.render.json.catalogue import FORMS, WITHOUT, fields_of
from mstore.render.json.shared import FailureDocument
from tests.cli.conftest import Run
from tests.cli.json_types import misfits
from tests.conftest import write_model


def strict(text: str) -> Any:
    """What strict JSON says."""
    assert text.isascii(), "JSON for pipes is plain ASCII"
    return json.loads(text, parse_constant=lambda c: pytest.fail(f"bare {c}"))


def held(text: str, kind: Any) -> Any:
    """What some JSON says, held against its type; the number of the schema comes first."""
    document = strict(text)
    assert next(iter(document)) == "schema" and document.pop("schema") == SCHEMA == 1
    assert list(misfits(document, kind)) == []
    return document


def failure(err: str) -> Any:
    """What stderr says of a failure: one line."""
    assert err.count("\n") == 1, err
    return held(err, FailureDocument)["error"]


# -- every command


def test_every_command_has_json_or_says_why_not() -> None:
    assert {form.split()[0] for form in FORMS} | set(WITHOUT) == set(app.commands)
    assert not {form.split()[0] for form in FORMS} & set(WITHOUT)
    for name, command in app.commands.items():
        options = {o: p for p in command.params for o in p.opts}
        assert ("--json" in options) == ("--fields" in options) == (name not in WITHOUT), name
        if name in WITHOUT:
            continue
        assert getattr(options["--json"], "is_flag", False), "--json takes no value"
        if "--dry-run" in options:
            assert f"{name} --dry-run" in FORMS or f"{name} --repair --dry-run" in FORMS


def test_every_form_on_a_real_store(
    mstore: Run, workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    json_page.write_files(workshop)
    monkeypatch.setenv("MSTORE_AUTHOR", "Ada <ada@example.org>")
    seen = set()
    for form, call in json_page.CALLS:
        if not isinstance(call, str):
            call(workshop)
            continue
        _, out, err = mstore(*call.split(), *(["--json"] if form else []))
        if form is None:
            continue
        seen.add(form)
        given = FORMS[form]
        document = held(out, given.kind)
        assert err == "", f"{call}: {err}"
        if given.elements is not None:
            assert document[given.elements], f"{call}: an empty list shows nothing"
    assert seen == set(FORMS)


def test_fields(mstore: Run, history: Path) -> None:
    rows = strict(mstore("log", "--all", "--json", "--fields", "id, metrics")[1])["versions"]
    assert len(rows) == 4 and all(set(row) == {"id", "metrics"} for row in rows)
    rows = strict(mstore("ls", "--tensors", "--json", "--fields", "shape")[1])
    assert set(rows) == {"schema", "id", "tensors"} and rows["tensors"][0].keys() == {"shape"}
    found = strict(mstore("status", "--json", "--fields", "branch")[1])
    assert found == {"schema": 1, "branch": "main"}
    found = strict(mstore("commit", "out", "--dry-run", "--json", "--fields", "unchanged,files")[1])
    assert set(found) == {"schema", "unchanged", "files"}
    for line, near in (
        ("log --fields metric", "metrics"),
        ("ls --tensors --fields shapes", "shape"),
        ("commit out --allow-empty --fields size", "size_bytes"),
        ("commit out --dry-run --fields created", "unchanged"),
        ("branch new --fields current", "its fields"),
    ):
        _, out, err = mstore(*line.split(), "--json", code=2)
        assert out == "" and near in failure(err)["hint"], line
    assert len(strict(mstore("log", "--json")[1])["versions"]) == 2, "nothing was done before it failed"
    assert "add --json" in mstore("log", "--fields", "id", code=2)[2]


def test_control_characters_and_what_is_not_finite(mstore: Run, history: Path) -> None:
    mstore("note", "r8", "--metric", "bad=nan", "--metric", "worse=-inf", "--meta", "x=\x1b[2J\u202e")
    (found,) = held(mstore("log", "r8", "-n", "1", "--json")[1], FORMS["log"].kind)["versions"]
    assert found["metrics"]["bad"] == "NaN" and found["metrics"]["worse"] == "-Infinity"
    assert found["metadata"]["x"] == "\x1b[2J\u202e"


def test_a_warning_is_in_the_object_that_has_a_list(mstore: Run, history: Path) -> None:
    (history / "out/optimizer.pt").write_bytes(b"x" * 100)
    mstore("commit", "out", "-m", "state")
    mstore("commit", "out", "-m", "later", "--allow-empty")
    mstore("forget", "--role", "training-state", "--yes")
    for more in ((), ("--dry-run",)):
        _, out, err = mstore("checkout", "main~1", "--to", "there", *more, "--json")
        assert err == "" and "was forgotten" in strict(out)["warnings"][0]
    _, out, err = mstore("checkout", "main~1", "--to", "elsewhere")
    assert "was forgotten" in err


def test_a_repair_and_damage(mstore: Run, history: Path) -> None:
    held(mstore("fsck", "--quick", "--json")[1], FORMS["fsck"].kind)
    (pack, *_) = sorted((history / ".mstore/store/packs").rglob("*.pack"))
    content = bytearray(pack.read_bytes())
    content[len(content) // 3] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(content)
    _, out, err = mstore("fsck", "--json", code=4)
    assert err == "" and held(out, FORMS["fsck"].kind)["problems"]
    _, out, _ = mstore("fsck", "--repair", "--dry-run", "--json", code=4)
    plan = held(out, FORMS["fsck --repair --dry-run"].kind)
    assert plan["ok"] is False and plan["packs"]
    _, out, _ = mstore("fsck", "--repair", "--json", code=None)
    assert held(out, FORMS["fsck"].kind)["repaired"]


def test_what_an_earlier_command_left(mstore: Run, history: Path) -> None:
    (history / "out/config.json").write_text('{"mine": 1}')
    mstore("config", "model-dir", "out")
    _, out, _ = mstore("checkout", "main~1", "--force", "--json")
    assert held(out, FORMS["checkout"].kind)["backup_path"]
    plan = held(mstore("undo", "--dry-run", "--json")[1], FORMS["undo --dry-run"].kind)
    done = held(mstore("undo", "--json")[1], FORMS["undo"].kind)
    assert plan["head"] == {"branch": "main", "id": None}
    assert plan["restored"] and done["restored"] and done["action"] == plan["action"]
    mstore("note", "main", "--metric", "a=1")
    done = held(mstore("undo", "--json")[1], FORMS["undo"].kind)
    assert [(r["kind"], r["id"]) for r in done["refs"]] == [("note", None)]


# -- lists are streamed


def test_a_list_is_not_held_in_memory(capfd: pytest.CaptureFixture[str]) -> None:
    def elements() -> Iterator[dict[str, Any]]:
        for number in range(30_000):
            if number == 1000:
                tracemalloc.start()
            yield {"number": number, "text": "x" * 1000}

    with click.Context(app):
        show_json_list("elements", elements(), id="a")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    found = strict(capfd.readouterr().out)
    assert list(found) == ["schema", "id", "elements"] and len(found["elements"]) == 30_000
    assert peak < 1_000_000


def test_a_list_that_breaks_off_is_no_object(mstore: Run, history: Path) -> None:
    one = strict(mstore("log", "--json")[1])["versions"][-1]
    for path in (history / ".mstore").rglob("catalog.sqlite*"):
        path.unlink()
    for path in (history / ".mstore/store/packs").rglob("*.pack"):
        if bytes.fromhex(one["id"]) in path.read_bytes():
            path.chmod(0o644)
            path.write_bytes(b"")
    code, out, err = mstore("log", "--json", code=None)
    assert code in (3, 4) and failure(err)["exit"] == code
    with pytest.raises(ValueError):
        json.loads(out)


# -- failures


def test_a_failure_of_each_exit_code(
    mstore: Run, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for line, code, name in (
        ("log --frobnicate", 2, "usage-error"),
        ("show", 2, "usage-error"),
        ("gc", 2, "usage-error"),
        ("log --where loss<", 2, "usage-error"),
        ("show nowhere", 3, "revision-not-found"),
        ("config author", 3, "not-found"),
        ("branch main", 5, "conflict"),
        ("branch a..b", 6, "invalid-input"),
    ):
        typed = line.split() if line != "show" else ["show", "a", "b"]
        _, out, err = mstore(*typed, "--json", code=code)
        found = failure(err)
        assert out == "" and (found["code"], found["exit"]) == (name, code), line
        assert found["message"], line
    assert failure(mstore("show", "mian", "--json", code=3)[2])["hint"] == "near it: main"
    _, out, err = mstore("log", "--json=yes", code=2)
    assert out == "" and failure(err)["code"] == "usage-error"
    (history / ".mstore/HEAD").write_text("{}")
    assert failure(mstore("status", "--json", code=4)[2])["code"] == "corrupt"
    (history / ".mstore/HEAD").write_text('{"branch":"main"}')

    def fail(error: BaseException) -> None:
        def broken(*_: Any, **__: Any) -> Any:
            raise error

        monkeypatch.setattr("mstore.api.repository.Repository.status", broken)

    for error, code, name in (
        (errors.StorageFailed("no space", errno=28, hint="the disk is full"), 1, "storage-failed"),
        (OSError(28, "No space left on device"), 1, "output-failed"),
        (ZeroDivisionError("oops"), 1, "defect"),
        (errors.RefMoved("heads/main"), 5, "ref-moved"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ):
        fail(error)
        _, out, err = mstore("status", "--json", code=code)
        found = failure(err)
        assert out == "" and (found["code"], found["exit"]) == (name, code)
        assert "error:" in mstore("status", code=code)[2], "without --json it is text"


def test_diff_with_exit_code_never_fails_with_1(mstore: Run, history: Path) -> None:
    (history / "broken").mkdir()
    _, out, err = mstore("diff", "main", "nowhere", "--exit-code", "--json", code=3)
    assert out == "" and failure(err)["exit"] == 3
    _, out, err = mstore("diff", "r4", "r8", "--exit-code", "--json", code=1)
    assert err == "" and held(out, FORMS["diff"].kind)["same"] is False


def test_a_word_is_not_an_option(mstore: Run, history: Path) -> None:
    """`--json` as the value of another option asks for nothing."""
    mstore("commit", "out", "-m", "--json", "--allow-empty")
    assert mstore("commit", "nowhere", "-m", "--json", code=None)[2].startswith("error: ")
    assert mstore("show", "nowhere", code=3)[2].startswith("error: "), "it is forgotten afterwards"


CODES = {
    "MStoreError": "failed",
    "UsageError": "usage-error",
    "NotFound": "not-found",
    "NoStore": "no-store",
    "RevisionNotFound": "revision-not-found",
    "Ambiguous": "ambiguous",
    "Corrupt": "corrupt",
    "Conflict": "conflict",
    "RefMoved": "ref-moved",
    "Dirty": "dirty",
    "ObjectRemoved": "object-removed",
    "InvalidInput": "invalid-input",
    "BadPath": "bad-path",
    "BadFile": "bad-file",
    "BadEncoding": "bad-encoding",
    "Unsupported": "unsupported",
    "StorageFailed": "storage-failed",
    "DurabilityUnknown": "durability-unknown",
}
"""Only ever grows: what stands here stays."""


def test_codes_of_errors_stay() -> None:
    now = {name: getattr(errors, name).code for name in errors.__all__}
    assert now.items() >= CODES.items(), "a code is another one now, or gone"
    assert now.keys() == CODES.keys(), "write the new one down here"
    assert len(set(now.values())) == len(now), "each error has a code of its own"


# -- the page


def test_the_page_is_made_from_the_types() -> None:
    """What to do where it is not: `python docs/generate.py json`."""
    assert (json_page.HERE / "json.md").read_text() == json_page.json_page()


@pytest.mark.parametrize("form", FORMS)
def test_an_example_is_what_the_types_say(form: str) -> None:
    """What to do where it is not: `python docs/generate.py examples`."""
    call, shown = json.loads(json_page.EXAMPLES.read_text())[form]
    assert call.startswith(f"mstore {form.split(maxsplit=1)[0]} ")
    held(json.dumps(shown), FORMS[form].kind)


def kinds() -> list[Any]:
    """All types that an object under `--json` has."""
    tops = [FailureDocument, *(given.kind for given in FORMS.values())]
    return [*tops, *json_page._inner(tops)]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_field_is_documented(kind: Any) -> None:
    said, fields = json_page.meanings(kind), fields_of(kind)
    assert said.keys() == fields.keys()
    for name, hint in fields.items():
        assert ("; null " in said[name]) == (type(None) in get_args(hint)), (
            f"{name}: says when it is null if, and only if, it may be"
        )
        ends = name.rpartition("_")[2] if get_origin(hint) is not list else ""
        assert ends != "count" or hint is int, name


def test_misfits_are_found() -> None:
    good = {"path": "a", "role": "other", "size_bytes": 3}
    (element, *_) = get_args(fields_of(FORMS["ls"].kind)["files"])
    assert list(misfits(good, element)) == []
    cases: tuple[Any, ...] = (
        {**good, "more": 1},
        {"path": "a", "role": "other"},
        {**good, "size_bytes": "3"},
        {**good, "size_bytes": True},
        {**good, "path": None},
        [],
    )
    for bad in cases:
        assert list(misfits(bad, element)), bad


def test_a_model_that_is_not_there_yet(mstore: Run, workshop: Path) -> None:
    """Every look at an empty store gives its object too."""
    mstore("init")
    for line in ("log", "branch", "tag", "status", "fsck", "du", "config", "gc --dry-run"):
        held(mstore(*line.split(), "--json")[1], FORMS[line].kind)
    write_model(workshop / "out", elements=3000)
    held(mstore("commit", "out", "--json")[1], FORMS["commit"].kind)
