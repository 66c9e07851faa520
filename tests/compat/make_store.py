"""Makes the store of this release that later releases must still read.

    python tests/compat/make_store.py 0.1        writes tests/compat/stores/0.1.tar.gz and 0.1.json

Run once a release; what it made is never made again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import mstore
from mstore.codec import BLOCK_LOG2, Codec, encode_block
from mstore.objects import blob_id
from mstore.store.frame import FrameHead
from mstore.store.pack import PackWriter
from mstore.store.pack_keys import pack_key
from tests.conftest import contents, save_tensors, write_adapter, write_model

HERE = Path(__file__).parent / "stores"


def make(version: str) -> None:
    """Write the store and what it must give back."""
    root = Path(tempfile.mkdtemp())
    repo = mstore.init(root, model_dir=root / "out")
    assert repo.workspace is not None
    repo.workspace.set_config("author", "Ada <ada@example.org>")
    expected: dict[str, dict[str, str]] = {}

    def kept(name: str, folder: Path) -> None:
        expected[name] = {p: hashlib.sha256(c).hexdigest() for p, c in contents(folder).items()}

    for seed in (1, 2):
        write_model(root / "out", seed=seed, elements=3000)
        made = repo.commit(message=f"model {seed}", metrics={"loss": 1 / seed, "odd": float("nan")})
        kept(made.id.hex, root / "out")
    for rank in (4, 8):
        folder = write_adapter(root / f"r{rank}", rank=rank, width=32)
        made = repo.commit(folder, message=f"adapter r={rank}", branch=f"lora/r{rank}", base="main")
        kept(made.id.hex, folder)
    repo.note("main", metrics={"late": 2.0}, metadata={"verdict": "ok"})
    repo.make_tag("v1", "main~1", message="first")
    repo.make_tag("light", "main")
    _add_delta(repo)
    for name, folder, options in _tuned(root):
        made = repo.commit(folder, message=name, branch="tuned", **options)
        kept(made.id.hex, folder)
    repo.commit(root / "state", message="with state", branch="state", start="")
    repo.commit(root / "state", message="once more", branch="state", allow_empty=True)
    repo.forget("training-state", branch="state", keep_last=0)
    for entry in repo.log("state"):
        kept(entry.id.hex, root / "bare")
    expected["refs"] = {
        **{f"heads/{b}": i.hex for b, i in repo.branches().items()},
        **{f"tags/{t.name}": t.id.hex for t in repo.list_tags()},
    }
    repo.close()
    shutil.rmtree(root / ".mstore/cache", ignore_errors=True)
    HERE.mkdir(exist_ok=True)
    with tarfile.open(HERE / f"{version}.tar.gz", "w:gz") as archive:
        archive.add(root / ".mstore/store", "store", filter=_anonymous)
    (HERE / f"{version}.json").write_text(json.dumps(expected, indent=1) + "\n")
    shutil.rmtree(root)


def _tuned(root: Path) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """Versions that the codec meets in all its modes: near, sparse, renamed, resized, recast."""
    rng = np.random.default_rng(7)
    weights = (rng.standard_normal((600, 100)) * 0.02).astype(np.float32)
    near = weights + (rng.standard_normal(weights.shape) * 1e-4).astype(np.float32)
    sparse = near.copy()
    sparse[::97, 3] += 1
    grown = np.vstack([sparse, weights[:20]])
    halves = (grown.view(np.uint32) >> 16 << 16).view(np.float32)
    versions = {
        "whole": {"w": weights},
        "near": {"w": near},
        "sparse": {"w": sparse},
        "renamed": {"v": sparse},
        "grown": {"v": grown},
        "half a float": {"v": halves},
        "near halves": {"v": ((halves + 1e-3).view(np.uint32) >> 16 << 16).view(np.float32)},
    }
    for number, (name, tensors) in enumerate(versions.items()):
        save_tensors(root / "tuned/model.safetensors", tensors, {"format": "pt"})
        (root / "tuned/config.json").write_text(json.dumps({"version": name}))
        yield name, root / "tuned", {} if number else {"start": ""}
    for folder in ("bare", "state"):
        write_model(root / folder, elements=3000)
    (root / "state/optimizer.pt").write_bytes(rng.bytes(5000))


def _add_delta(repo: mstore.Repository) -> None:
    """A blob as a delta: 0.1 reads these, and does not choose to write them."""
    file = repo.manifest("main").by_path["model.safetensors"]
    base_id = max(file.segments, key=lambda s: s.length).blob
    base = repo.store.get(base_id)
    near = np.frombuffer(base, np.uint32).copy()
    near[::7] += 3
    content = near.tobytes()
    block = encode_block(content, width=4, is_float=True, base=base)
    head = FrameHead(blob_id(content), len(content), Codec.DELTA, 4, BLOCK_LOG2, 1, base_id)
    with repo.store.backend.put_new() as upload:
        writer = PackWriter(upload)
        writer.add(head, [block])
        upload.publish(pack_key(writer.seal()))
    repo.store.refresh()
    assert repo.store.get(head.id) == content


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry


if __name__ == "__main__":
    make(sys.argv[1])
