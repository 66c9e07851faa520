"""log, show, ls, cat, diff, and what may be typed where a version is due."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mstore.objects import Commit, Manifest, Time
from mstore.store import Move, Store
from tests.bad_inputs.test_objects import planted, write_pack
from tests.conftest import write_adapter, write_model

Run = Callable[..., Any]
Entries = Callable[..., list[dict[str, Any]]]


# -- log


def test_the_table(mstore: Run, history: Path, entries: Entries) -> None:
    mstore("checkout", "r8", "--to", "x")
    _, out, _ = mstore("log", "--all")
    head = out.splitlines()[0]
    for column in ("id", "refs", "age", "message", "r/alpha", "epoch", "loss", "eval loss", "added"):
        assert column in head, head
    r8 = next(line for line in out.splitlines() if "rank 8" in line)
    for part in ("8/16", "0.125", "80", "r8", "B"):
        assert part in r8, r8
    assert entries("r8", "-n", "1")[0]["id"][:7] in r8
    assert any("HEAD → main" in line and "two" in line for line in out.splitlines())
    assert any("tag: v1" in line and "one" in line for line in out.splitlines())


def test_json_has_what_is_promised(mstore: Run, history: Path, entries: Entries) -> None:
    for entry in entries("--all"):
        for key in (
            "id",
            "parents",
            "message",
            "author",
            "time",
            "metadata",
            "metrics",
            "refs",
            "tensor_count",
            "size_bytes",
            "added_bytes",
        ):
            assert key in entry, key
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", entry["time"])
        assert re.fullmatch("[0-9a-f]{64}", entry["id"])
    two, one = entries("main")
    assert two["parents"] == [one["id"]] and one["parents"] == []
    assert two["metrics"] == {"loss": 1.5, "eval_loss": 1.75} and two["metadata"]["lr"] == 0.0002
    assert one["size_bytes"] == one["added_bytes"] > two["added_bytes"] > 0
    assert one["tensor_count"] == 3
    assert two["refs"] == [{"kind": "head", "name": "HEAD"}, {"kind": "branch", "name": "main"}]
    assert one["refs"] == [{"kind": "tag", "name": "v1"}]
    assert entries("-n", "0") == []


def test_how_many(mstore: Run, history: Path, entries: Entries) -> None:
    assert [e["message"] for e in entries()] == ["two", "one"]
    assert [e["message"] for e in entries("-n", "1")] == ["two"]
    assert [e["message"] for e in entries("r8")] == ["rank 8", "two", "one"]
    assert {e["message"] for e in entries("--all")} == {"rank 4", "rank 8", "two", "one"}
    _, out, _ = mstore("log", "-n", "0")
    assert "one" not in out.splitlines()
    mstore("log", "-n", "-1", code=2)
    mstore("log", "-n", "x", code=2)


def test_oneline(mstore: Run, history: Path) -> None:
    _, out, _ = mstore("log", "--oneline")
    lines = out.splitlines()
    assert re.fullmatch(r"[0-9a-f]{7} \(HEAD → main\) two", lines[0])
    assert re.fullmatch(r"[0-9a-f]{7} \(tag: v1\) one", lines[1])
    assert lines[2] == "(2 commits on other branches: --all)"


def test_other_branches_are_counted(mstore: Run, history: Path) -> None:
    assert "(2 commits on other branches" in mstore("log")[1]
    mstore("branch", "-d", "r4")
    assert "(1 commit on other branches" in mstore("log")[1]
    assert "other branches" not in mstore("log", "--all")[1]
    assert "other branches" not in mstore("log", "r8")[1]
    mstore("branch", "-d", "r8")
    assert "other branches" not in mstore("log")[1]


def test_the_graph(mstore: Run, history: Path) -> None:
    _, out, _ = mstore("log", "--graph", "--all", "--oneline")
    lines = out.splitlines()
    assert sum("*" in line for line in lines) == 4
    assert any(line.startswith("| *") for line in lines) and any("|/" in line for line in lines)
    _, out, _ = mstore("log", "--graph", "--all")
    assert "8/16" in out and "loss 0.125" in out


def test_a_graph_of_two_parents(mstore: Run, history: Path) -> None:
    store = Store.at(history / ".mstore/store")
    tips = [store.refs.read(f"heads/r{n}") for n in (4, 8)]
    commit = Commit(
        tuple(t.target for t in tips if t),  # type: ignore[misc]
        Manifest(()).id,
        "Ada",
        Time.now(),
        "both",
    )
    write_pack(
        store, planted(Manifest(()).id, Manifest(()).encoded), planted(commit.id, commit.encoded)
    )
    store.refs.move("heads/both", commit.id, Move("test", "", "Ada", Time.now()))
    store.close()
    _, out, _ = mstore("log", "--graph", "--oneline", "both")
    assert "|\\" in out and "|/" in out
    assert "rank 4" in mstore("show", "both^1")[1]
    assert "rank 8" in mstore("show", "both^2")[1]
    mstore("show", "both^3", code=3)
    assert "rank 4" in mstore("show", "both^")[1]
    assert "two" in mstore("show", "both^2~1")[1] and "one" in mstore("show", "both~3")[1]
    assert "both" in mstore("show", "both^0")[1]


def test_columns(mstore: Run, history: Path) -> None:
    _, out, _ = mstore(
        "log",
        "--all",
        "--columns",
        "id,message,eval_loss,lr,step,r,alpha,tensors,size,author,time,recorded.trainer.epoch",
    )
    lines = out.splitlines()
    assert lines[0].split()[:2] == ["id", "message"] and "lr" in lines[0]
    r8 = next(line for line in lines if "rank 8" in line)
    assert " 80 " in r8 and " 16 " in r8 and "Ada" in r8
    two = next(line for line in lines if "two" in line)
    assert "1.75" in two and "0.0002" in two
    _, out, _ = mstore("log", "--columns", "nothing,message")
    assert "two" in out


def test_an_unborn_head_shows_all_branches(mstore: Run, workshop: Path) -> None:
    mstore("init")
    _, out, err = mstore("log")
    assert out == "" and "mstore commit" in err
    assert json.loads(mstore("log", "--json")[1])["versions"] == []
    write_model(workshop / "out", elements=3000)
    mstore("commit", "out", "--branch", "a", "-m", "on a")
    mstore("commit", "out", "--branch", "b", "-m", "on b")
    _, out, _ = mstore("log")
    assert "on a" in out and "on b" in out and "main has no commit yet" in out
    _, _, err = mstore("show", code=3)
    assert "no commit yet" in err


# -- show, ls, cat


def test_show(mstore: Run, history: Path, entries: Entries) -> None:
    entry = entries("r8", "-n", "1")[0]
    _, out, _ = mstore("show", "r8")
    for part in (
        entry["id"],
        entry["parents"][0][:7],
        "Ada",
        "rank 8",
        "loss = 0.125",
        "adapter_config.json",
        "base",
        "gpt2",
    ):
        assert part in out, part
    found = json.loads(mstore("show", "r8", "--json")[1])
    assert found["id"] == entry["id"] and found["notes"] == []
    assert {f["path"] for f in found["files"]} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "trainer_state.json",
    }
    assert {f["role"] for f in found["files"]} == {"adapter", "training-state"}


def test_ls(mstore: Run, history: Path) -> None:
    _, out, _ = mstore("ls", "main")
    assert "model.safetensors" in out and "weights" in out and "tokenizer" in out
    rows = json.loads(mstore("ls", "main", "--json")[1])["files"]
    size = (history / "out/model.safetensors").stat().st_size
    assert next(r for r in rows if r["path"] == "model.safetensors")["size_bytes"] == size
    _, out, _ = mstore("ls", "main", "--tensors")
    assert "embed.weight" in out and "F32" in out and "[3000]" in out
    tensors = json.loads(mstore("ls", "--tensors", "--json")[1])["tensors"]
    assert {t["name"]: t["shape"] for t in tensors} == {
        "embed.weight": [3000],
        "head.weight": [10, 30],
        "scale": [],
    }


def test_cat(mstore: Run, history: Path) -> None:
    assert (
        mstore("cat", "main", "config.json")[1].encode() == (history / "out/config.json").read_bytes()
    )
    _, out, _ = mstore("cat", "main", "model.safetensors")
    assert out.encode("utf-8", "surrogateescape") == (history / "out/model.safetensors").read_bytes()
    _, _, err = mstore("cat", "main", "confg.json", code=3)
    assert "confg.json" in err
    mstore("cat", "nowhere", "config.json", code=3)
    mstore("cat", "main", code=2)


# -- revisions


def test_revisions(mstore: Run, history: Path, entries: Entries) -> None:
    two, one = (e["id"] for e in entries("main"))
    (r8,) = (e["id"] for e in entries("r8", "-n", "1"))
    for revision, id in (
        ("main", two),
        ("HEAD", two),
        ("@", two),
        ("v1", one),
        (two, two),
        (two[:7], two),
        (two[:12], two),
        ("HEAD~1", one),
        ("HEAD~", one),
        ("HEAD^", one),
        ("HEAD^1", one),
        ("HEAD~0", two),
        ("HEAD^0", two),
        ("r8", r8),
        ("r8~1", two),
        ("r8^^", one),
        ("r8~1~1", one),
        ("r8~2", one),
        ("r8~1^", one),
        (f"{two[:9]}~1", one),
        ("main@{0}", two),
        ("main@{1}", one),
        ("HEAD@{1}", one),
        ("@{1}", one),
        ("main@{0}~1", one),
    ):
        assert json.loads(mstore("show", revision, "--json")[1])["id"] == id, revision
    for revision, code in (
        ("main~2", 3),
        ("main^2", 3),
        ("main~99999999", 3),
        ("main@{2}", 3),
        ("nowhere", 3),
        ("v1@{0}", 3),
        ("0000000", 3),
        ("main~x", 2),
        ("main^x", 2),
        ("", 2),
        ("~1", 2),
        ("main@{1}@{1}", 2),
    ):
        _, _, err = mstore("show", revision, code=code)
        assert err.startswith("error: ")


def test_near_names(mstore: Run, history: Path) -> None:
    _, _, err = mstore("show", "mian", code=3)
    assert "main" in err and "near" in err
    _, _, err = mstore("checkout", "R8", "--to", "x", code=3)
    assert "r8" in err
    _, _, err = mstore("log", "zzz", code=3)
    assert "main" in err and "there are" in err


def test_a_branch_named_like_an_id_wins_with_a_warning(
    mstore: Run, history: Path, entries: Entries
) -> None:
    two, one = (e["id"] for e in entries("main"))
    mstore("branch", two[:7], "v1")
    for command in (
        ["show", two[:7], "--json"],
        ["log", two[:7], "--json"],
        ["ls", two[:7]],
        ["checkout", two[:7], "--to", "x"],
        ["diff", two[:7], "main"],
        ["note", two[:7], "--metric", "a=1"],
    ):
        _, _out, err = mstore(*command)
        assert "warning" in err and two[:7] in err, f"{command} does not warn"
    found = json.loads(mstore("show", two[:7], "--json")[1])
    assert found["id"] == one
    assert json.loads(mstore("show", two[:8], "--json")[1])["id"] == two
    mstore("tag", two[:9], "v1")
    _, _, err = mstore("show", two[:9])
    assert "warning" in err and "tag" in err


def test_a_branch_comes_before_a_tag(mstore: Run, history: Path) -> None:
    mstore("tag", "r8", "v1")
    assert "rank 8" in mstore("show", "r8")[1]


# -- diff


def test_diff_of_two_folders_needs_no_store(mstore: Run, workshop: Path) -> None:
    write_adapter(workshop / "a", rank=4)
    write_adapter(workshop / "b", rank=8)
    _, out, _ = mstore("diff", "./a", "./b")
    assert out.splitlines()[0].startswith("LoRA") and "4" in out and "8" in out
    mstore("diff", "a/", "b/")
    mstore("diff", str(workshop / "a"), str(workshop / "b"))
    mstore("diff", "a", "b")
    assert not (workshop / ".mstore").exists()
    _, out, _ = mstore("diff", "./a", "./a")
    assert "no differences" in out
    mstore("diff", "./a", "./none", code=3)
    mstore("diff", code=3)


def test_diff_json(mstore: Run, history: Path) -> None:
    found = json.loads(mstore("diff", "r4", "r8", "--json")[1])
    assert set(found) >= {"lora", "config", "metadata", "metrics", "tensors", "files"}
    a, b = found["lora"]["a"], found["lora"]["b"]
    assert (a["rank"], b["rank"]) == (4, 8) and (a["alpha"], b["alpha"]) == (8, 16)
    assert a["ranks"] == [4] and a["scaling"] == 2 and a["targets"] == ["c_attn"]
    (module, shapes), *_ = sorted(b["modules"].items())
    assert "c_attn" in module and shapes == {"A": [8, 64], "B": [192, 8]}
    assert found["metrics"]["loss"] == {"a": 0.25, "b": 0.125}
    assert {f["path"] for f in found["files"]["changed"]} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "trainer_state.json",
    }
    assert len(found["tensors"]["reshaped"]) == 4
    plain = json.loads(mstore("diff", "main~1", "main", "--json")[1])
    assert plain["lora"] == {"a": None, "b": None}
    assert {t["name"] for t in plain["tensors"]["changed"]} == {"embed.weight", "head.weight", "scale"}
    assert plain["metadata"]["lr"] == {"b": 0.0002}


def test_several_adapters(mstore: Run, place: Path) -> None:
    for rank in (4, 8):
        for name in ("en", "de"):
            write_adapter(place / f"pair{rank}" / name, rank=rank)
    found = json.loads(mstore("diff", "./pair4", "./pair8", "--json")[1])
    assert set(found["adapters"]) == {"en", "de"}
    assert found["adapters"]["de"]["a"]["rank"] == 4
    assert found["lora"] == {"a": None, "b": None}


def test_diff_figures(mstore: Run, history: Path) -> None:
    _, out, _ = mstore("diff", "main~1", "main", "--stat")
    assert "differ" in out and "cosine" in out
    rows = json.loads(mstore("diff", "main~1", "main", "--stat", "--json")[1])["tensors"]["changed"]
    text = json.dumps(rows)
    for word in ("share", "cosine"):
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("main", "main"), 0),
        (("main", "main~1"), 1),
        (("r4", "r8"), 1),
        (("main", "./out"), 0),
        (("./out", "./out"), 0),
        (("./out", "./r8"), 1),
        ((), 0),
        (("main~1",), 1),
        (("main", "nowhere"), 3),
        (("main", "./nowhere"), 3),
        (("main~5", "main"), 3),
        (("main", "main", "--bad-option"), 2),
        (("a", "b", "c"), 2),
    ],
)
def test_diff_exit_codes(mstore: Run, history: Path, arguments: tuple[str, ...], code: int) -> None:
    mstore("config", "model-dir", "out")
    mstore("diff", "--exit-code", *arguments, code=code)
    mstore("diff", "--exit-code", "--json", *arguments, code=code)
    if code < 2:
        mstore("diff", *arguments)


def test_diff_exit_code_is_never_1_for_trouble(
    mstore: Run, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mstore.compare.diff as module
    from mstore.errors import StorageFailed, Unsupported

    for error in (StorageFailed("no"), Unsupported("no"), OSError("no"), RuntimeError("no")):

        def fail(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        with monkeypatch.context() as trouble:
            trouble.setattr(module, "compare_tensors", fail)
            mstore("diff", "--exit-code", "main", "main~1", code=2)
            mstore("diff", "main", "main~1", code=1)


def test_diff_defaults(mstore: Run, history: Path) -> None:
    mstore("config", "model-dir", "out")
    assert "no differences" in mstore("diff")[1]
    (history / "out/config.json").write_text('{"seed": 77}')
    _, out, _ = mstore("diff")
    assert "seed" in out and "77" in out
    _, out, _ = mstore("diff", "main~1")
    assert "embed.weight" in out
    assert "seed" in mstore("diff", "HEAD", "./out")[1]


def test_compare(mstore: Any, workshop: Path) -> None:
    mstore("init")
    for number in (1, 2):
        write_adapter(workshop / "out", seed=number)
        mstore("commit", "out", "-m", f"v|{number}", "--metric", f"loss={number}", "--meta", "same=1")
    _, out, _ = mstore("compare", "HEAD~1", "HEAD")
    assert "loss" in out and "equal rows left out" in out and "same" not in out
    rows = list(csv.reader(io.StringIO(mstore("compare", "HEAD~1", "HEAD", "--csv")[1])))
    assert ["loss", "1", "2"] in rows
    assert "| loss | 1 | 2 |" in mstore("compare", "HEAD~1", "HEAD", "--md")[1]
    assert json.loads(mstore("compare", "HEAD~1", "HEAD", "--json")[1])["rows"]["loss"] == [1.0, 2.0]
    mstore("compare", "HEAD", code=2)
    mstore("compare", "HEAD", "HEAD~1", "--md", "--csv", code=2)


def test_the_log_marks_what_is_ill(mstore: Any, workshop: Path) -> None:
    mstore("init")
    write_adapter(workshop / "out")
    mstore("commit", "out", "-m", "diverged")
    mstore("note", "HEAD", "--meta", 'health={"not_finite": "NaN or infinity in w"}')
    assert "! NaN · diverged" in mstore("log")[1]
    assert "! NaN · diverged" in mstore("log", "--oneline")[1]


def test_conditions_and_orders(mstore: Any, workshop: Path) -> None:
    mstore("init")
    for step in (1, 2):
        write_adapter(workshop / "out", seed=step)
        mstore("commit", "out", "-m", f"s{step}", "--metric", f"eval_loss={step}")
    _, out, _ = mstore("log", "--where", "eval_loss < 2", "--oneline")
    assert "s1" in out and "s2" not in out
    assert "no matching versions" in mstore("log", "--where", "eval_loss < 0")[2]
    assert mstore("log", "--where", "eval_loss <", code=2)[2].count("^")
    assert "--graph" in mstore("log", "--graph", "--sort", "eval_loss", code=2)[2]
    assert "s1" in mstore("show", "best:eval_loss")[1]
    _, out, _ = mstore("log", "--sort", "-eval_loss", "--json")
    assert [e["message"] for e in json.loads(out)["versions"]] == ["s2", "s1"]


def test_diff_of_a_folder_that_is_not_there_names_it(mstore: Run, workshop: Path) -> None:
    (workshop / "a").mkdir()
    assert "no such folder: b" in mstore("diff", "./a", "./b", code=3)[2]
