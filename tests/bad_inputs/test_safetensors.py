"""Bad inputs 1 to 28 through `mstore commit`: refused, named, nothing changed; or kept."""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bad_inputs.builders_safetensors import CASES
from tests.bad_inputs.stand import Unchanged, numbered
from tests.conftest import contents

ALL = {f"n{case[0]:02d}-{label.replace(' ', '-')}": case for label, case in CASES.items()}
REFUSED = {id: case for id, case in ALL.items() if case[2] == "refused"}
KEPT = {id: case for id, case in ALL.items() if case[2] != "refused"}
STRICT = {id: case for id, case in ALL.items() if case[2] == "strict"}


def write(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(content)
    (folder / "config.json").write_text("{}")


@numbered("case", REFUSED)
def test_is_refused(mstore: Callable[..., Any], stand: Path, case: Any) -> None:
    _, build, _, fragment = case
    write(stand / "bad", build())
    with Unchanged(stand, stand / "out", stand / "bad"):
        _code, out, err = mstore("commit", "bad", "-m", "no", code=6)
    assert out == ""
    assert "bad/model.safetensors" in err
    assert fragment in err
    assert len(err) < 2000, "a message is for reading"


@numbered("case", REFUSED)
def test_opaque_keeps_the_bytes(mstore: Callable[..., Any], stand: Path, case: Any) -> None:
    write(stand / "bad", case[1]())
    _, _, err = mstore("commit", "bad", "-m", "bytes", "--allow-opaque", "--branch", "b")
    assert "model.safetensors" in err and "kept as bytes" in err
    mstore("checkout", "b", "--to", "back")
    assert contents(stand / "back") == contents(stand / "bad")


@numbered("case", KEPT)
def test_is_kept(mstore: Callable[..., Any], stand: Path, case: Any) -> None:
    write(stand / "odd", case[1]())
    mstore("commit", "odd", "-m", "odd", "--branch", "b")
    mstore("checkout", "b", "--to", "back")
    assert contents(stand / "back") == contents(stand / "odd")
    if case[0] == 26:
        return  # linear, yet each listing of 100,000 lines takes a second
    _, out, _ = mstore("ls", "b", "--tensors")
    assert not any(c in out for c in "\x1b\0\u202e"), "names are escaped"
    _, out, _ = mstore("diff", "main", "b")
    assert not any(c in out for c in "\x1b\0\u202e")
    assert len(out) < 20_000, "a listing is cut"
    _, out, _ = mstore("ls", "b", "--tensors", "--json")
    assert len(json.loads(out)) >= 1


@numbered("case", STRICT)
def test_strict_refuses(mstore: Callable[..., Any], stand: Path, case: Any) -> None:
    write(stand / "odd", case[1]())
    with Unchanged(stand, stand / "odd"):
        _, _, err = mstore("commit", "odd", "--strict", "-m", "no", code=6)
    assert case[3] in err and "odd/model.safetensors" in err


def test_n23_a_name_like_a_path_is_never_one(mstore: Callable[..., Any], stand: Path) -> None:
    write(stand / "odd", CASES["name like a path"][1]())
    mstore("commit", "odd", "-m", "odd", "--branch", "b")
    mstore("checkout", "b", "--to", "deep/er/back")
    assert sorted(p.name for p in (stand / "deep").rglob("*")) == sorted(
        ["er", "back", "config.json", "model.safetensors"]
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_n02_none_of_them_takes_memory(mstore: Callable[..., Any], stand: Path) -> None:
    """All the refused ones in one process stay within 256 MB beyond what it had."""
    for index, case in enumerate(REFUSED.values()):
        write(stand / f"bad{index}", case[1]())
    from mstore.cli import run

    mstore("commit", "bad0", code=6)  # what is imported once is not theirs
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        code = 9
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            before = _resident()
            ok = all(run(["commit", f"bad{i}"]) == 6 for i in range(len(REFUSED)))
            code = 0 if ok and _resident() - before < 256 << 20 else 1 if not ok else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "1: not refused; 2: memory"


def _resident() -> int:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
