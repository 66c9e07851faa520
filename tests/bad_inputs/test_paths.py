"""Bad inputs 54 to 64: paths, destinations, arguments, other people's stores."""

from __future__ import annotations

import json
import math
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest

from mstore.errors import BadPath, StorageFailed
from mstore.objects import (
    Commit,
    CommitId,
    Kind,
    Manifest,
    ManifestFile,
    ManifestId,
    Segment,
    Time,
    blob_id,
    check_path,
    object_id,
)
from mstore.store import Move, Store
from mstore.worktree.destination import Destination
from mstore.worktree.swap import put_in_place
from tests.bad_inputs.stand import Unchanged, as_nobody, listing, numbered
from tests.bad_inputs.test_objects import plant_files, planted, write_pack
from tests.conftest import contents, save_tensors, write_model

NOW = Time(1_700_000_000 * 10**9, 0)
CONTENT = b"evil"


def plant_paths(stand: Path, *paths: str) -> None:
    """A branch `planted` with these paths, canonically encoded, no check being made."""
    files = [
        {
            "path": path,
            "role": "other",
            "size": len(CONTENT),
            "segments": [[blob_id(CONTENT).raw, 0, len(CONTENT)]],
        }
        for path in sorted(paths, key=lambda p: p.encode("utf-8", "surrogatepass"))
    ]
    plant_files(stand, [], CONTENT, raw=cbor2.dumps({"files": files}, canonical=True))


# -- 54: paths in manifests

EVIL_PATHS = {
    "n54-climbing": "../evil",
    "n54-climbing-inside": "a/../../evil",
    "n54-climbing-to-itself": "a/../b",
    "n54-dot": "./a",
    "n54-dot-inside": "a/./b",
    "n54-absolute": "/tmp/evil",
    "n54-two-slashes": "a//b",
    "n54-slash-at-the-end": "a/",
    "n54-empty": "",
    "n54-dots-alone": "..",
    "n54-NUL": "a\0b",
    "n54-mstore": ".mstore/HEAD",
    "n54-mstore-file": ".mstore",
    "n54-mstore-upper": ".MSTORE/HEAD",
    "n54-mstore-mixed": ".mStOrE/HEAD",
    "n54-mstore-inside": "a/.mstore/x",
    "n54-mstore-full-width": "\uff0e\uff4d\uff53\uff54\uff4f\uff52\uff45/HEAD",
    "n54-mstore-long-s": ".m\u017ftore/HEAD",
    "n54-mstore-zero-width": ".ms\u200ctore/HEAD",
    "n54-mstore-soft-hyphen": ".ms\u00adtore/HEAD",
    "n54-mstore-byte-order-mark": "\ufeff.mstore/HEAD",
    "n54-mstore-bidi": ".\u202emstore/HEAD",
    "n54-mstore-dot-after": ".mstore./HEAD",
    "n54-mstore-spaces-after": ".mstore  /HEAD",
    "n54-mstore-stream": ".mstore::$INDEX_ALLOCATION/HEAD",
    "n54-mstore-short-name": "MSTORE~1/HEAD",
    "n54-mstore-combining": ".mstore\u200d/HEAD",
    "n54-part-of-256": "x" * 256,
    "n54-part-of-256-bytes": "\u00e9" * 128,
    "n54-part-of-256-inside": "a/" + "x" * 256 + "/b",
}


@numbered("path", EVIL_PATHS)
def test_paths_are_refused_before_anything_is_written(
    mstore: Callable[..., Any], stand: Path, path: str
) -> None:
    with pytest.raises(BadPath):
        check_path(path)
    plant_paths(stand, "config.json", path)
    before = sorted(os.listdir("/tmp"))
    with Unchanged(stand, stand / "out"):
        for command in (
            ["checkout", "planted"],
            ["checkout", "planted", "--force"],
            ["checkout", "planted", "--to", "to"],
            ["ls", "planted"],
            ["diff", "main", "planted"],
        ):
            _, _, err = mstore(*command, code=6)
            assert "\0" not in err and "\u202e" not in err and "\u200c" not in err
    assert not (stand / "to").exists() and not (stand / "evil").exists()
    assert not (set(os.listdir("/tmp")) - set(before)) & {"evil"}
    mstore("fsck", code=4)


@numbered(
    "paths",
    {
        "n54-file-and-folder": ("a", "a/b"),
        "n54-file-and-deep-folder": ("a/b", "a/b/c/d"),
    },
)
def test_a_path_is_a_file_or_a_folder(
    mstore: Callable[..., Any], stand: Path, paths: tuple[str, ...]
) -> None:
    plant_paths(stand, *paths)
    with Unchanged(stand, stand / "out"):
        mstore("checkout", "planted", "--to", "to", code=6)
        mstore("checkout", "planted", code=6)
    assert not (stand / "to").exists()


@numbered(
    "name",
    {
        "n54-on-disk-upper": ".MSTORE",
        "n54-on-disk-full-width": "\uff0e\uff4d\uff53\uff54\uff4f\uff52\uff45",
        "n54-on-disk-zero-width": ".ms\u200ctore",
        "n54-on-disk-short-name": "mstore~1",
        "n54-on-disk-invalid-UTF-8": "caf\udce9.txt",
    },
)
@pytest.mark.parametrize("is_folder", [True, False], ids=["folder", "file"])
def test_names_on_disk(mstore: Callable[..., Any], stand: Path, name: str, is_folder: bool) -> None:
    write_model(stand / "bad", elements=3000)
    if is_folder:
        (stand / "bad" / name).mkdir()
        (stand / "bad" / name / "x").write_text("x")
    else:
        (stand / "bad" / name).write_text("x")
    with Unchanged(stand, stand / "out"):
        _, _, err = mstore("commit", "bad", "-m", "no", code=6)
    assert "path" in err
    assert "\udce9" not in err and "\u200c" not in err, "names are escaped"


def test_n54_an_index_of_a_version_never_becomes_a_path(
    mstore: Callable[..., Any], stand: Path
) -> None:
    _, _, err = mstore("cat", "main", "../../etc/passwd", code=3)
    _, _, err = mstore("cat", "main", "/etc/passwd", code=3)
    assert "root:" not in err


# -- 55: names on a disk that ignores case

COLLIDING = {
    "n55-case": ("README.md", "readme.md"),
    "n55-case-of-a-folder": ("A/x.txt", "a/y.txt"),
    "n55-normal-form": ("e\u0301.txt", "\u00e9.txt"),
    "n55-sharp-s": ("stra\u00dfe", "STRASSE"),
    "n55-file-and-folder": ("Sub", "sub/x.txt"),
}


@numbered("paths", COLLIDING)
def test_case_collisions(
    mstore: Callable[..., Any], stand: Path, paths: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_paths(stand, "config.json", *paths)
    with monkeypatch.context() as mac:
        mac.setattr(Destination, "is_case_insensitive", lambda self: True)
        with Unchanged(stand, stand / "out"):
            _, _, err = mstore("checkout", "planted", "--to", "to", code=6)
            assert "collides" in err
            assert any(p.rpartition("/")[2] in err or p.partition("/")[0] in err for p in paths)
            assert not (stand / "to").exists()
            (stand / "empty").mkdir()
            mstore("checkout", "planted", "--to", "empty", code=6)
            assert not list((stand / "empty").iterdir())
            mstore("checkout", "planted", code=6)
            mstore("checkout", "planted", "--force", code=6)
    mstore("checkout", "planted", "--to", "to")


def test_n55_what_lies_there_already_counts(
    mstore: Callable[..., Any], stand: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the two only one has to be written; it would go over the other."""
    (stand / "out/README.md").write_text("one")
    mstore("commit", "-m", "one")
    (stand / "out/readme.md").write_text("two")
    mstore("commit", "-m", "two")
    mstore("checkout", "main~1")
    monkeypatch.setattr(Destination, "is_case_insensitive", lambda self: True)
    with Unchanged(stand, stand / "out"):
        _, _, err = mstore("checkout", "main", code=6)
        assert "collides" in err
    assert (stand / "out/README.md").read_text() == "one"


def test_n55_the_probe_itself(tmp_path: Path) -> None:
    with Destination(tmp_path) as destination:
        expected = (tmp_path.parent / tmp_path.name.upper()).exists()
        assert destination.is_case_insensitive() == expected
    assert not list(tmp_path.iterdir())


# -- 56: destinations that are links, or become some


@pytest.fixture
def two(mstore: Callable[..., Any], stand: Path) -> Path:
    """A second version, with a file in a sub-folder; `main~1` lacks it."""
    (stand / "out/sub").mkdir()
    (stand / "out/sub/x.txt").write_text("mine")
    (stand / "out/config.json").write_text('{"two": 2}')
    mstore("commit", "-m", "two")
    (stand / "elsewhere").mkdir()
    (stand / "elsewhere/precious.txt").write_text("precious")
    return stand


@numbered(
    "target",
    {
        "n56-link-to-a-folder": "elsewhere",
        "n56-dangling-link": "nowhere",
        "n56-link-to-a-file": "out/config.json",
        "n56-link-to-itself": "to",
    },
)
def test_a_destination_that_is_a_link(mstore: Callable[..., Any], two: Path, target: str) -> None:
    os.symlink(target, two / "to")
    with Unchanged(two, two / "elsewhere", two / "out"):
        for option in ((), ("--force",)):
            for to in ("to", "to/", "./to"):
                _, _, err = mstore("checkout", "main", "--to", to, *option, code=6)
                assert "to" in err and "link" in err
    assert not (two / "nowhere").exists()


@numbered("make", {"n56-file": lambda p: p.write_text("x"), "n56-FIFO": os.mkfifo})
def test_a_destination_that_is_no_folder(mstore: Callable[..., Any], two: Path, make: Any) -> None:
    make(two / "to")
    with Unchanged(two, two / "out"):
        mstore("checkout", "main", "--to", "to", code=6)
        mstore("checkout", "main", "--to", "to", "--force", code=6)


@numbered("where", {"n56-folder-in-it": "sub", "n56-file-in-it": "config.json"})
def test_a_link_in_the_destination(mstore: Callable[..., Any], two: Path, where: str) -> None:
    mstore("checkout", "main", "--to", "to")
    target = two / "to" / where
    (two / "away").mkdir()
    target.rename(two / "away/moved")
    target.symlink_to(two / "elsewhere")
    with Unchanged(two, two / "elsewhere", two / "to", two / "away"):
        for option in ((), ("--force",)):
            for revision in ("main", "main~1"):
                _, _, err = mstore("checkout", revision, "--to", "to", *option, code=6)
                assert where in err and "link" in err


@numbered("where", {"n56-ignored-folder": "sub", "n56-ignored-file": "config.json"})
def test_an_ignored_link_in_the_destination(mstore: Callable[..., Any], two: Path, where: str) -> None:
    """What is ignored is not looked at; writing through it would be worse."""
    mstore("checkout", "main", "--to", "to")
    target = two / "to" / where
    target.rename(two / "moved")
    target.symlink_to(two / "elsewhere" / ("precious.txt" if "." in where else ""))
    (two / "to/.mstoreignore").write_text(f"{where}\n")
    before = listing(two / "elsewhere")
    code, _, err = mstore("checkout", "main", "--to", "to", "--force", code=None)
    assert listing(two / "elsewhere") == before
    assert code in (5, 6), f"{code} {err}: an ignored file was replaced"
    assert target.is_symlink(), "ignored files are never touched"


def test_n56_the_model_directory_becomes_a_link(mstore: Callable[..., Any], two: Path) -> None:
    (two / "out").rename(two / "moved")
    (two / "out").symlink_to(two / "elsewhere")
    with Unchanged(two, two / "elsewhere", two / "moved"):
        for option in ((), ("--force",)):
            _, _, err = mstore("checkout", "main~1", *option, code=6)
            assert "link" in err
    (two / "out").unlink()
    (two / "out").symlink_to(two / "nowhere")
    with Unchanged(two, two / "elsewhere"):
        _, _, err = mstore("checkout", "main~1", code=6)
        assert "link" in err
    assert not (two / "nowhere").exists()


def test_n56_parents_may_be_links(mstore: Callable[..., Any], two: Path) -> None:
    (two / "real").mkdir()
    (two / "link").symlink_to("real")
    mstore("checkout", "main", "--to", "link/to")
    mstore("checkout", "main~1", "--to", "link/to")
    assert (two / "real/to/config.json").exists() and not (two / "real/to/sub").exists()


@numbered("moment", {"n56-before-staging": "write_staged", "n56-before-renaming": "put_in_place"})
@pytest.mark.parametrize("in_place", [True, False], ids=["in-place", "to"])
def test_a_folder_that_is_swapped_meanwhile(
    mstore: Callable[..., Any], two: Path, monkeypatch: pytest.MonkeyPatch, moment: str, in_place: bool
) -> None:
    import mstore.checkout.replace as module

    mstore("checkout", "main", "--to", "to")
    folder = two / ("out" if in_place else "to")
    (two / "to/sub/x.txt").unlink()
    (two / "to/tokenizer.json").unlink()
    if in_place:
        # A version in which the file in the sub-folder differs, so that it must be written.
        (folder / "sub/x.txt").write_text("other")
        (folder / "zebra.txt").write_text("other")
        mstore("commit", "-m", "three")
    right = getattr(module, moment)

    def swapped(*arguments: Any, **keywords: Any) -> Any:
        (folder / "sub").rename(two / "moved")
        (folder / "sub").symlink_to(two / "elsewhere")
        return right(*arguments, **keywords)

    monkeypatch.setattr(module, moment, swapped)
    before = listing(two / "elsewhere")
    command = ["checkout", "main~1" if in_place else "main"] + ([] if in_place else ["--to", "to"])
    head = (two / ".mstore/HEAD").read_bytes()
    _, _, err = mstore(*command, code=6)
    assert "link" in err
    assert listing(two / "elsewhere") == before, "written through a link"
    assert (two / ".mstore/HEAD").read_bytes() == head
    left = [p for p in folder.rglob("*") if ".~mstore" in p.name]
    assert not left, f"temporary files are left: {left}"


def test_n56_the_destination_itself_is_swapped(
    mstore: Callable[..., Any], two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An absent destination that comes into being as a link while its files are written."""
    import mstore.checkout.beside as module

    right = put_in_place

    def swapped(*arguments: Any, **keywords: Any) -> Any:
        right(*arguments, **keywords)
        (two / "new").symlink_to(two / "elsewhere")

    monkeypatch.setattr(module, "put_in_place", swapped)
    before = listing(two / "elsewhere")
    code, _, _ = mstore("checkout", "main", "--to", "new", code=None)
    assert code in (5, 6)
    assert listing(two / "elsewhere") == before
    assert not [p for p in two.iterdir() if p.name.startswith(".~mstore")]


# -- 57: files that no commit has


@numbered("in_place", {"n57-to": False, "n57-in-place": True})
def test_files_that_no_commit_has(mstore: Callable[..., Any], two: Path, in_place: bool) -> None:
    mstore("checkout", "main", "--to", "to")
    folder = two / ("out" if in_place else "to")
    (folder / "notes.txt").write_text("an hour of work")
    (folder / "config.json").write_text('{"edited": true}')
    (folder / "debug.tmp").write_text("ignored")
    (folder / "runs").mkdir()
    (folder / "runs/events").write_text("ignored")
    command = ["checkout", "main~1"] + ([] if in_place else ["--to", "to"])
    with Unchanged(two, folder):
        _, _, err = mstore(*command, code=5)
        assert "notes.txt" in err and "config.json" in err and "--force" in err
        assert "debug.tmp" not in err and "runs" not in err and "tokenizer" not in err
    before = listing(folder)
    _, out, _ = mstore(*command, "--force")
    assert "undo" in out
    assert not (folder / "notes.txt").exists()
    assert "seed" in (folder / "config.json").read_text()
    assert (folder / "debug.tmp").read_text() == (folder / "runs/events").read_text() == "ignored"
    mstore("undo")
    assert listing(folder) == before, "undo brings the folder back as it was"


def test_n57_ignored_files_are_never_touched(mstore: Callable[..., Any], two: Path) -> None:
    """An ignored file at a path that the version has, too: neither replaced nor removed unasked."""
    (two / "out/train.log").write_text("of version three")
    mstore("commit", "-m", "three")
    (two / "out/train.log").unlink()
    (two / "out/.mstoreignore").write_text("*.log\n")
    mstore("commit", "-m", "four, with rules")
    (two / "out/train.log").write_text("a week of training")
    code, _, err = mstore("checkout", "main~1", code=None)
    if code == 0:
        kept = [p.read_text() for p in two.rglob("train.log")]
        assert "a week of training" in kept, "an ignored file was overwritten, and no copy kept"
    else:
        assert code == 5 and "train.log" in err
        assert (two / "out/train.log").read_text() == "a week of training"


def test_n57_ignored_files_are_not_counted(mstore: Callable[..., Any], two: Path) -> None:
    (two / "to").mkdir()
    (two / "to/debug.tmp").write_text("ignored")
    mstore("checkout", "main", "--to", "to")
    assert (two / "to/debug.tmp").read_text() == "ignored"
    assert json.loads(mstore("checkout", "main~1", "--to", "to", "--json")[1])["removed_count"] == 1
    assert (two / "to/debug.tmp").read_text() == "ignored"
    assert mstore("status")[1].count("nothing changed") == 1


def test_n57_a_file_where_a_folder_was(mstore: Callable[..., Any], two: Path) -> None:
    """`sub/x.txt` in one version, `sub` in the next: both ways, byte for byte."""
    with_folder = contents(two / "out")
    (two / "out/sub/x.txt").unlink()
    (two / "out/sub").rmdir()
    (two / "out/sub").write_text("now a file")
    mstore("commit", "-m", "three")
    with_file = contents(two / "out")
    mstore("checkout", "main~1")
    assert contents(two / "out") == with_folder
    mstore("checkout", "main")
    assert contents(two / "out") == with_file
    mstore("checkout", "main", "--to", "to")
    mstore("checkout", "main~1", "--to", "to")
    assert contents(two / "to") == with_folder
    mstore("undo")


def test_n57_a_checkout_that_fails_changes_nothing(
    mstore: Callable[..., Any], two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mstore.worktree.writer as module

    (two / "out/notes.txt").write_text("mine")
    right = module._write_blob
    calls = 0

    def failing(*arguments: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError(28, "No space left on device")
        return right(*arguments)

    monkeypatch.setattr(module, "_write_blob", failing)
    with Unchanged(two, two / "out"):
        code, _, err = mstore("checkout", "main~1", "--force", code=None)
        assert code == 1, err


@numbered("in_place", {"n57-forced-and-failed-to": False, "n57-forced-and-failed-in-place": True})
def test_a_forced_checkout_that_fails_loses_nothing(
    mstore: Callable[..., Any], two: Path, monkeypatch: pytest.MonkeyPatch, in_place: bool
) -> None:
    """The disk fails when copies have been put aside already, and files are about to be renamed."""
    import mstore.checkout.replace as module

    mstore("checkout", "main", "--to", "to")
    folder = two / ("out" if in_place else "to")
    (folder / "notes.txt").write_text("an hour of work")
    (folder / "config.json").write_text('{"edited": true}')
    before = contents(folder)

    def failing(*_: Any, **__: Any) -> None:
        raise StorageFailed("cannot write: Input/output error", errno=5)

    with monkeypatch.context() as broken:
        broken.setattr(module, "put_in_place", failing)
        mstore("checkout", "main~1", "--force", *(() if in_place else ("--to", "to")), code=1)
    assert not [p for p in folder.rglob("*") if ".~mstore" in p.name], "temporary files are left"
    if contents(folder) != before:
        mstore("undo")
    assert contents(folder) == before, "work is lost: neither in its place nor brought back by undo"


# -- 58: names that begin with a dash


def test_n58_names_after_two_dashes(mstore: Callable[..., Any], stand: Path) -> None:
    write_model(stand / "-rf", seed=3, elements=3000)
    (stand / "-rf/--help").write_text("a file")
    (stand / "-rf/-x").write_text("another")
    mstore("commit", "-m", "dashes", "--branch", "b", "--", "-rf")
    assert mstore("cat", "--", "b", "-x")[1] == "another"
    assert mstore("cat", "b", "--", "--help")[1] == "a file"
    mstore("checkout", "b", "--to", "-out")
    assert contents(stand / "-out") == contents(stand / "-rf")
    mstore("import", "--branch", "i", "--", "-rf")
    mstore("diff", "--", "./-rf", "./-out")
    mstore("commit", "-rf", code=2)
    for command in ("branch", "tag"):
        mstore(command, "--", "-x", code=6)
        mstore(command, "-d", "--", "-x", code=6)
    for command in ("show", "log", "ls", "checkout", "reflog"):
        code, _, err = mstore(command, "--", "--all", code=None)
        assert code in (3, 6), f"{command}: {err}"


# -- 59: pairs


@numbered(
    "arguments",
    {
        "n59-meta-without-equals": ["--meta", "lr"],
        "n59-meta-without-a-key": ["--meta", "=5"],
        "n59-meta-empty": ["--meta", ""],
        "n59-metric-without-equals": ["--metric", "loss"],
        "n59-metric-without-a-name": ["--metric", "=5"],
        "n59-metric-without-a-number": ["--metric", "loss="],
        "n59-metric-text": ["--metric", "loss=low"],
        "n59-metric-two-numbers": ["--metric", "loss=1 2"],
        "n59-metric-JSON": ["--metric", "loss=[1]"],
        "n59-metric-boolean": ["--metric", "loss=true"],
        "n59-metric-hex": ["--metric", "loss=0x10"],
        "n59-metric-comma": ["--metric", "loss=1,5"],
        "n59-metric-underscore": ["--metric", "loss=1_5"],
        "n59-metric-of-another-script": ["--metric", "loss=\u0661\u0662"],
    },
)
def test_pairs(mstore: Callable[..., Any], stand: Path, arguments: list[str]) -> None:
    with Unchanged(stand, stand / "out"):
        for command in (["commit", "out", "--allow-empty", "-m", "x"], ["note", "HEAD"]):
            _, _, err = mstore(*command, *arguments, code=2)
            assert arguments[0] in err
            assert repr(arguments[1]) in err or arguments[1] in err


@numbered(
    "case",
    {
        "n59-NaN": ("nan", math.nan),
        "n59-NaN-as-JSON-has-it": ("NaN", math.nan),
        "n59-infinity": ("inf", math.inf),
        "n59-minus-infinity": ("-Infinity", -math.inf),
        "n59-minus-zero": ("-0.0", -0.0),
        "n59-tiny": ("5e-324", 5e-324),
    },
)
def test_numbers_that_are_no_usual_ones_are_kept(
    mstore: Callable[..., Any], stand: Path, case: tuple[str, float]
) -> None:
    text, value = case
    mstore("commit", "out", "--allow-empty", "-m", "x", "--metric", f"loss={text}", "--branch", "b")
    (stand / "out/config.json").write_text("{}")
    store = Store.at(stand / ".mstore/store")
    ref = store.refs.read("heads/b")
    assert ref is not None and isinstance(ref.target, CommitId)
    found = store.commit(ref.target).metrics["loss"]
    assert (
        math.isnan(found)
        if math.isnan(value)
        else (found, math.copysign(1, found)) == (value, math.copysign(1, value))
    )
    mstore("note", "b", "--metric", f"late={text}")
    for command in (
        ["log", "b"],
        ["show", "b"],
        ["diff", "main", "b"],
        ["log", "b", "--columns", "id,loss,late"],
    ):
        mstore(*command)
    json.loads(mstore("log", "b", "--json")[1], parse_constant=lambda c: pytest.fail(f"bare {c}"))


@numbered(
    "case",
    {
        "n59-meta-number": ("lr=2e-4", {"lr": 2e-4}),
        "n59-meta-text": ("set=alpaca", {"set": "alpaca"}),
        "n59-meta-equals-in-it": ("a=b=c", {"a": "b=c"}),
        "n59-meta-nothing": ("a=", {"a": ""}),
        "n59-meta-quoted": ('a="5"', {"a": "5"}),
        "n59-meta-object": ('a={"b": [1, null, true]}', {"a": {"b": [1, None, True]}}),
        "n59-meta-leading-zeros": ("a=007", {"a": "007"}),
        "n59-meta-NaN": ("a=NaN", {"a": "NaN"}),
        "n59-meta-control-characters": ("a=\x1b[2J", {"a": "\x1b[2J"}),
        "n59-meta-5000-digits": ("a=" + "9" * 5000, {"a": "9" * 5000}),
    },
)
def test_metadata(mstore: Callable[..., Any], stand: Path, case: tuple[str, Any]) -> None:
    mstore("commit", "out", "--allow-empty", "-m", "x", "--meta", case[0])
    metadata = json.loads(mstore("log", "--json")[1])["versions"][0]["metadata"]
    assert {k: v for k, v in metadata.items() if k != "recorded"} == case[1]
    assert "\x1b" not in mstore("show")[1]


@numbered(
    "arguments",
    {
        "n59-meta-reserved": ["--meta", "recorded=1"],
        "n59-meta-too-deep": ["--meta", "a=" + "[" * 70 + "]" * 70],
        "n59-meta-invalid-UTF-8": ["--meta", "a=\udcff"],
        "n59-meta-key-of-invalid-UTF-8": ["--meta", "\udcff=1"],
        "n59-metric-of-invalid-UTF-8": ["--metric", "\udcff=1"],
    },
)
def test_metadata_that_cannot_be_kept(
    mstore: Callable[..., Any], stand: Path, arguments: list[str]
) -> None:
    with Unchanged(stand, stand / "out"):
        for command in (["commit", "out", "--allow-empty", "-m", "x"], ["note", "HEAD"]):
            code, _, err = mstore(*command, *arguments, code=None)
            assert code in (2, 6), err


# -- 60: short ids


def test_n60_an_ambiguous_short_id(mstore: Callable[..., Any], stand: Path) -> None:
    store = Store.at(stand / ".mstore/store")
    empty = Manifest(())
    seen: dict[str, Commit] = {}
    for number in range(5000):
        commit = Commit(
            (),
            empty.id,
            "Ada",
            Time((1_600_000_000 + number * 86400) * 10**9, 0),
            f"number \x1b[2J{number}\nmore",
        )
        twin = seen.setdefault(commit.id.hex[:4], commit)
        if twin is not commit:
            break
    else:
        pytest.fail("no two ids begin alike")
    write_pack(
        store,
        planted(empty.id, empty.encoded),
        planted(commit.id, commit.encoded),
        planted(twin.id, twin.encoded),
    )
    store.close()
    short = commit.id.hex[:4]
    for command in (
        ["show", short],
        ["log", short],
        ["checkout", short, "--to", "to"],
        ["ls", f"{short}~1"],
    ):
        _, _, err = mstore(*command, code=3)
        for one in (commit, twin):
            assert one.id.hex[:12] in err
            assert one.time.iso()[:10] in err
            assert one.message.split("J")[1].split("\n")[0] in err
        assert "\x1b" not in err
    assert not (stand / "to").exists()
    longer = next(i for i in range(5, 64) if commit.id.hex[:i] != twin.id.hex[:i])
    mstore("show", commit.id.hex[:longer])


# -- 61: no store


def test_n61_no_store_here(
    mstore: Callable[..., Any], workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in (
        ["log"],
        ["status"],
        ["commit", "x"],
        ["branch"],
        ["fsck"],
        ["show"],
        ["config"],
        ["undo"],
        ["reflog"],
    ):
        _, _, err = mstore(*command, code=3)
        assert str(workshop) in err and "mstore init" in err
    _, _, err = mstore("--store", "nowhere", "log", code=3)
    assert str(workshop / "nowhere") in err and "init" in err
    _, _, err = mstore("--workspace", "nowhere", "log", code=3)
    assert "nowhere" in err and "init" in err
    monkeypatch.setenv("MSTORE_STORE", str(workshop / "missing"))
    _, _, err = mstore("log", code=3)
    assert str(workshop / "missing") in err
    monkeypatch.delenv("MSTORE_STORE")
    monkeypatch.setenv("MSTORE_WORKSPACE", str(workshop / "missing"))
    _, _, err = mstore("log", code=3)
    assert str(workshop / "missing") in err
    assert list(workshop.iterdir()) == []


def test_n61_a_store_that_went_away(mstore: Callable[..., Any], stand: Path) -> None:
    (stand / ".mstore/store").rename(stand / "gone")
    for command in (["log"], ["status"], ["commit", "out"]):
        _, _, err = mstore(*command, code=3)
        assert str(stand / ".mstore/store") in err


# -- 62: stores of other users


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")
def test_n62_a_store_of_another_user_opens(mstore: Callable[..., Any], stand: Path) -> None:
    for path in [stand / ".mstore", *(stand / ".mstore").rglob("*")]:
        os.chown(path, 12345, 12345)
    mstore("log")
    mstore("commit", "out", "--allow-empty", "-m", "two")
    mstore("fsck")


def test_n62_a_user_without_rights_reads_the_store_of_another(
    mstore: Callable[..., Any], commons: Path
) -> None:
    os.chdir(commons)
    mstore("init")
    write_model(commons / "out", elements=3000)
    os.chmod(commons / "out/model.safetensors", 0o644)
    mstore("commit", "out", "-m", "of root")
    code, out, err = as_nobody(["log"], folder=commons)
    assert code == 0 and "of root" in out, err


@numbered("umask", {"n62-shared-usual": 0o022, "n62-shared-strict": 0o077, "n62-shared-open": 0o002})
def test_files_of_a_shared_store_are_group_writable(
    mstore: Callable[..., Any], workshop: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        mstore("init", "--store", "team", "--shared")
        write_model(workshop / "out", elements=3000)
        mstore("commit", "out", "-m", "one")
        mstore("branch", "lora/r8")
        mstore("tag", "v1", "-m", "x")
        mstore("note", "HEAD", "--metric", "a=1")
        mstore("branch", "-d", "lora/r8")
        (workshop / "out/config.json").write_text("{}")
        mstore("commit", "out", "-m", "two")
    finally:
        os.umask(before)
    wrong = []
    for path in [workshop / "team", *(workshop / "team").rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        needed = 0o2770 if path.is_dir() else 0o660
        if mode & needed != needed:
            wrong.append(f"{mode:o} {path.relative_to(workshop)}")
    assert not wrong, "not for the group: " + ", ".join(wrong[:8])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_n62_a_second_member_of_the_group_commits(mstore: Callable[..., Any], commons: Path) -> None:
    os.chdir(commons)
    mstore("init", "--store", "team", "--shared")
    write_model(commons / "out", elements=3000)
    os.chmod(commons / "out/model.safetensors", 0o644)
    mstore("commit", "out", "-m", "first")
    for path in [commons / "team", *(commons / "team").rglob("*")]:
        os.chown(path, -1, 65534)
    code, _, err = as_nobody(
        ["--store", "team", "commit", "out", "--allow-empty", "--branch", "main", "-m", "second"],
        folder=commons,
    )
    assert code == 0, err
    _, out, _ = mstore("log")
    assert "first" in out and "second" in out


# -- 63: read-only stores


@pytest.fixture
def read_only(mstore: Callable[..., Any], commons: Path) -> Path:
    os.chdir(commons)
    mstore("init")
    write_model(commons / "out", elements=3000)
    mstore("commit", "out", "-m", "kept")
    mstore("tag", "v1")
    mstore("note", "HEAD", "--metric", "late=3")
    for path in [commons, *commons.rglob("*")]:
        os.chmod(path, stat.S_IMODE(path.stat().st_mode) & ~0o222 | 0o444)
    os.chmod(commons, 0o755)
    (commons / "desk").mkdir()
    os.chmod(commons / "desk", 0o777)
    return commons


@numbered(
    "how", {"n63-workspace": ["--workspace", "."], "n63-store-alone": ["--store", ".mstore/store"]}
)
def test_reading_a_read_only_store(read_only: Path, how: list[str]) -> None:
    before = listing(read_only / ".mstore")
    for command in (
        ["log"],
        ["log", "--graph", "--all"],
        ["log", "--json"],
        ["show", "main"],
        ["ls", "v1"],
        ["cat", "main", "config.json"],
        ["branch"],
        ["tag"],
        ["reflog", "main"],
        ["fsck"],
        ["diff", "main", "v1"],
    ):
        code, out, err = as_nobody([*how, *command], folder=read_only)
        assert code == 0, f"{command}: {err}"
        assert out or command[0] == "tag"
        assert err == "", f"{command} complains: {err}"
    code, _, err = as_nobody([*how, "checkout", "main", "--to", "desk/to"], folder=read_only)
    assert code == 0, err
    assert contents(read_only / "desk/to") == contents(read_only / "out")
    if how[0] == "--workspace":
        code, _, err = as_nobody([*how, "status"], folder=read_only)
        assert code == 0, err
    assert listing(read_only / ".mstore") == before


@numbered(
    "how",
    {
        "n63-workspace-writing": ["--workspace", "."],
        "n63-store-alone-writing": ["--store", ".mstore/store"],
    },
)
def test_writing_to_a_read_only_store(read_only: Path, how: list[str]) -> None:
    before = listing(read_only / ".mstore")
    for command in (
        ["commit", "out", "--allow-empty", "-m", "x", "--branch", "b"],
        ["branch", "b", "main"],
        ["tag", "v2", "main"],
        ["tag", "-d", "v1"],
        ["note", "main", "--metric", "a=1"],
        ["import", "out"],
    ):
        code, _, err = as_nobody([*how, *command], folder=read_only)
        assert code == 1, f"{command}: {code} {err}"
        assert "read-only" in err or "ermission" in err, f"{command}: {err}"
    assert listing(read_only / ".mstore") == before


def test_n63_a_store_with_a_new_way_of_writing_is_read_only(
    mstore: Callable[..., Any], stand: Path
) -> None:
    file = stand / ".mstore/store/store.json"
    plain = json.loads(file.read_text())
    plain["features"]["write"] = ["refs-1", "refs-2"]
    del plain["sum"]
    file.write_text(json.dumps(plain))
    mstore("log")
    with Unchanged(stand):
        _, _, err = mstore("commit", "out", "--allow-empty", code=1)
        assert "read-only" in err
        mstore("branch", "b", code=1)


# -- 64: messages with control characters

MESSAGE = "good \x1b]0;owned\x07\x1b[2J\u202elive\u200b \x9b31m \r over\nsecond \x00line".replace(
    "\x00", "\x01"
)
STEERING = "\x1b\x07\u202e\u200b\x9b\r\x01"


def test_n64_a_message_is_kept_and_escaped(mstore: Callable[..., Any], stand: Path) -> None:
    (stand / "out/evil\x1b[2J\u202e.txt").write_text("x")
    outputs = []
    for command in (
        [
            "commit",
            "out",
            "-m",
            MESSAGE,
            "--meta",
            f"a={MESSAGE}",
            "--meta",
            f"{MESSAGE}=1",
            "--metric",
            f"{MESSAGE}=1",
        ],
        ["log"],
        ["log", "--oneline"],
        ["log", "--graph"],
        ["log", "--columns", f"id,message,author,{MESSAGE}"],
        ["show"],
        ["ls"],
        ["status"],
        ["branch"],
        ["reflog"],
        ["diff", "HEAD~1", "HEAD"],
        ["tag", "v1", "-m", MESSAGE],
        ["tag"],
        ["note", "HEAD", "--meta", f"b={MESSAGE}"],
        ["checkout", "HEAD", "--to", "to\x1b[2J"],
        ["undo"],
        ["undo"],
        ["fsck"],
    ):
        _code, out, err = mstore(*command)
        outputs.append((command, out + err))
    for command, text in outputs:
        assert not any(c in text for c in STEERING), f"{command[0]} steers the terminal: {text!r}"
    mstore("commit", "out", "-m", MESSAGE)
    assert json.loads(mstore("log", "--json")[1])["versions"][0]["message"] == MESSAGE


@numbered(
    "arguments",
    {
        "n64-revision": ["show", "\x1b[2J"],
        "n64-path": ["cat", "main", "\x1b[2J"],
        "n64-folder": ["commit", "\x1b[2J"],
        "n64-branch": ["branch", "\x1b[2J"],
        "n64-option": ["log", "--\x1b[2J"],
        "n64-command": ["\x1b[2J"],
        "n64-metric": ["note", "HEAD", "--metric", "\x1b[2J"],
        "n64-role": ["commit", "out", "--without", "\x1b[2J"],
        "n64-config": ["config", "\x1b[2J"],
        "n64-store": ["--store", "\x1b[2J", "log"],
        "n64-shell": ["completion", "\x1b[2J"],
        "n64-number": ["log", "-n", "\x1b[2J"],
        "n64-diff": ["diff", "./\x1b[2J", "./\x1b]0;x\x07"],
        "n64-import": ["import", "\x1b[2J"],
        "n64-to": ["checkout", "main", "--to", "out/model.safetensors/\x1b[2J"],
    },
)
def test_errors_are_escaped(mstore: Callable[..., Any], stand: Path, arguments: list[str]) -> None:
    code, out, err = mstore(*arguments, code=None)
    assert code not in (0, None) and err
    assert "\x1b" not in out + err, err


@numbered("text", {"n64-invalid-UTF-8": "bad \udcff byte"})
def test_text_that_is_no_text(
    mstore: Callable[..., Any], stand: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Unchanged(stand, stand / "out"):
        _, _, _err = mstore("commit", "out", "--allow-empty", "-m", text, code=6)
        mstore("tag", "v1", "-m", text, code=6)
        monkeypatch.setenv("MSTORE_AUTHOR", text)
        mstore("commit", "out", "--allow-empty", "-m", "x", code=6)


def test_n64_on_a_real_terminal(stand: Path) -> None:
    """Through a terminal of its own, where colours are allowed: only ours are there."""
    import pty
    import sys

    (stand / "out/x.txt").write_text("x")
    subprocess.run(
        [sys.executable, "-c", "from mstore.cli import main; main()", "commit", "out", "-m", MESSAGE],
        check=True,
        capture_output=True,
    )
    shown = b""
    for command in (["log"], ["log", "--graph"], ["show"], ["status"], ["reflog"]):
        child, terminal = pty.fork()
        if child == 0:  # pragma: no cover - another process
            os.environ.update(PAGER="cat", TERM="xterm", COLUMNS="120")
            os.execv(
                sys.executable, [sys.executable, "-c", "from mstore.cli import main; main()", *command]
            )
        while True:
            try:
                part = os.read(terminal, 65536)
            except OSError:
                break
            if not part:
                break
            shown += part
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    text = shown.decode()
    assert "good" in text and "\x1b[" in text, "colours are due on a terminal"
    assert "\x1b]0;" not in text and "\x07" not in text and "\x1b[2J" not in text
    assert "\u202e" not in text and "\x9b" not in text


def test_kinds_are_spelled() -> None:
    """The helpers of this page make what they say."""
    manifest = Manifest((ManifestFile("a", "other", 4, (Segment(blob_id(CONTENT), 0, 4),)),))
    assert isinstance(object_id(Kind.MANIFEST, manifest.encoded), ManifestId)
    assert Move("a", "b", "c", NOW).workspace is None
    assert save_tensors is not None
