"""gc, forget, repack, du: what a store costs, and giving bytes back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mstore.errors import UsageError
from tests.conftest import write_adapter, write_model


def test_gc(mstore: Callable[..., Any], workshop: Path) -> None:
    mstore("init")
    for seed in range(2):
        write_model(workshop / "out", seed=seed)
        mstore("commit", "out", "-m", f"v{seed}", *(["--branch", "try"] if seed else []))
    _, out, _ = mstore("gc", "--yes")
    assert "all of it needed" in out
    mstore("branch", "-d", "try")
    assert "--yes runs it" in mstore("gc", code=UsageError.exit_code)[2]
    _, out, _ = mstore("gc", "--now", "--dry-run")
    assert "1 versions" not in out or "v1" in out
    assert "(was on try)" in out and "would free" in out
    packs = sorted(workshop.rglob("*.pack"))
    shown = json.loads(mstore("gc", "--now", "--dry-run", "--json")[1])
    assert shown["branch_bytes"].keys() == {"try"} and shown["versions"][0]["branch"] == "try"
    assert sorted(workshop.rglob("*.pack")) == packs
    done = json.loads(mstore("gc", "--now", "--yes", "--json")[1])
    assert done["freed_bytes"] > 0 and len(list(workshop.rglob("*.pack"))) == 1


def test_forget(mstore: Any, workshop: Path) -> None:
    mstore("init")
    for step in (1, 2, 3):
        write_adapter(workshop / "out", seed=step)
        (workshop / "out/optimizer.pt").write_bytes(os.urandom(400_000))
        mstore("commit", "out", "-m", f"step {step}")
    forget = ("forget", "--role", "training-state")
    assert "--yes runs it" in mstore(*forget, code=2)[2]
    _, out, _ = mstore(*forget, "--dry-run")
    assert "step 1" in out and "step 2" in out and "step 3" not in out and "would free" in out
    shown = json.loads(mstore(*forget, "--keep-last", "2", "--yes", "--json")[1])
    assert len(shown["plan"]["versions"]) == 1 and shown["freed_bytes"] > 400_000
    assert "freed" in mstore(*forget, "--yes")[1]
    assert "would forget nothing" in mstore(*forget, "--yes")[1]
    assert "was forgotten" in mstore("checkout", "HEAD~1", "--to", "there")[2]
    mstore("config", "keep-training-state", "3")
    assert "number or `all`" in mstore("config", "keep-training-state", "some", code=2)[2]


def test_repack_and_du(mstore: Any, workshop: Path) -> None:
    mstore("init")
    for seed in range(3):
        write_model(workshop / "out", seed=seed)
        mstore("commit", "out", "-m", f"v{seed}")
    _, out, _ = mstore("du", "HEAD")
    assert "embed.weight" in out
    usage = json.loads(mstore("du", "HEAD", "--json")[1])
    assert usage["version_count"] == 3 and usage["versions"][0]["subject"] == "v2"
    assert len(list(workshop.rglob("*.pack"))) == 3
    shown = mstore("repack", "--dry-run")[1]
    assert shown and len(list(workshop.rglob("*.pack"))) == 3, "nothing is done"
    done = json.loads(mstore("repack", "--json")[1])
    assert done["removed_pack_count"] == 3 and done["written_pack_count"] == 1
    assert mstore("fsck")[0] == 0
