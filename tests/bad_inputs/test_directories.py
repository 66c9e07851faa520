"""Bad inputs 42 to 53: model directories."""

from __future__ import annotations

import json
import os
import pickle
import socket
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mstore as api
from mstore.errors import InvalidInput
from mstore.worktree.scan import OpenFile
from tests.bad_inputs.stand import Unchanged, as_nobody, numbered
from tests.conftest import contents, save_tensors, write_adapter, write_model

ONE = {"w": np.arange(4000, dtype=np.float32)}


def _index(folder: Path, **weight_map: Any) -> None:
    save_tensors(folder / "model-00001-of-00002.safetensors", ONE)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps(
            {"metadata": {}, "weight_map": {"w": "model-00001-of-00002.safetensors", **weight_map}}
        )
    )


# -- 42: an index that leaves its folder

SHARDS: dict[str, Any] = {
    "n42-climbing": "../evil.safetensors",
    "n42-climbing-later": "sub/../../evil.safetensors",
    "n42-climbing-backwards-slash": "..\\evil.safetensors",
    "n42-absolute": "/etc/passwd",
    "n42-absolute-windows": "C:\\evil.safetensors",
    "n42-share": "\\\\host\\evil.safetensors",
    "n42-NUL": "a\0b.safetensors",
    "n42-empty": "",
    "n42-number": 7,
    "n42-list": ["../evil"],
    "n42-null": None,
}


@numbered("shard", SHARDS)
@pytest.mark.parametrize(
    "options", [(), ("--allow-incomplete",), ("--allow-opaque",)], ids=["", "incomplete", "opaque"]
)
def test_an_index_that_leaves_its_folder(
    mstore: Callable[..., Any], stand: Path, shard: Any, options: tuple[str, ...]
) -> None:
    _index(stand / "bad", x=shard)
    (stand / "evil.safetensors").write_bytes(b"secret")
    with Unchanged(stand, stand / "out", stand / "bad"):
        _, _, err = mstore("commit", "bad", "-m", "no", *options, code=6)
    assert "model.safetensors.index.json" in err and "weight_map" in err


@numbered("shard", {id: shard for id, shard in SHARDS.items() if isinstance(shard, str) and shard})
def test_an_index_in_a_sub_folder(mstore: Callable[..., Any], stand: Path, shard: Any) -> None:
    write_model(stand / "bad")
    _index(stand / "bad/deep", x=shard)
    with Unchanged(stand, stand / "bad"):
        mstore("commit", "bad", "-m", "no", code=6)


@numbered("shard", {id: SHARDS[id] for id in ("n42-climbing", "n42-absolute")})
def test_an_index_that_leaves_its_folder_is_not_checked_out(
    mstore: Callable[..., Any], stand: Path, shard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's store may hold what ours would have refused; transformers would follow it."""
    _index(stand / "bad", x=shard)
    with monkeypatch.context() as careless:
        careless.setattr("mstore.commit.execute.index_warnings", lambda *_, **__: ())
        mstore("commit", "bad", "-m", "evil", "--branch", "evil")
    with Unchanged(stand, stand / "out"):
        _, _, err = mstore("checkout", "evil", "--to", "to", code=6)
        assert "weight_map" in err and "model.safetensors.index.json" in err
    assert not (stand / "to").exists()
    mstore("config", "model-dir", "out")
    with Unchanged(stand, stand / "out"):
        mstore("checkout", "evil", code=6)


@numbered(
    "content",
    {
        "n42-map-is-a-list": {"weight_map": []},
        "n42-map-is-text": {"weight_map": "../x"},
        "n42-map-is-null": {"weight_map": None},
    },
)
def test_a_weight_map_that_is_none(mstore: Callable[..., Any], stand: Path, content: Any) -> None:
    _index(stand / "bad")
    (stand / "bad/model.safetensors.index.json").write_text(json.dumps(content))
    with Unchanged(stand, stand / "bad"):
        _, _, err = mstore("commit", "bad", code=6)
    assert "weight_map" in err


# -- 43: shards that are missing


def test_n43_a_missing_shard(mstore: Callable[..., Any], stand: Path) -> None:
    _index(stand / "bad", x="model-00002-of-00002.safetensors")
    with Unchanged(stand, stand / "out", stand / "bad"):
        _, _, err = mstore("commit", "bad", "-m", "no", code=6)
    assert "model-00002-of-00002.safetensors is missing" in err
    assert "model.safetensors.index.json" in err and "--allow-incomplete" in err
    _, _, err = mstore("commit", "bad", "-m", "half", "--allow-incomplete", "--branch", "b")
    assert "model-00002-of-00002.safetensors" in err
    mstore("checkout", "b", "--to", "back")
    assert contents(stand / "back") == contents(stand / "bad")


def test_n43_a_shard_that_is_ignored_is_missing(mstore: Callable[..., Any], stand: Path) -> None:
    _index(stand / "bad", x="model-00002-of-00002.safetensors")
    save_tensors(stand / "bad/model-00002-of-00002.safetensors", {"x": np.zeros(3, np.float32)})
    (stand / "bad/.mstoreignore").write_text("model-00002*\n")
    _, _, err = mstore("commit", "bad", "-m", "no", code=6)
    assert "model-00002-of-00002.safetensors" in err


# -- 44: JSON that is none

BROKEN: dict[str, tuple[bytes, str]] = {
    "n44-broken": (b'{\n  "lr": 1,\n  "b": }\n', "line 3 column 8"),
    "n44-cut-short": (b'{"a": 1', "line 1 column 8"),
    "n44-empty": (b"", "is empty"),
    "n44-white-space": (b" \n ", "is empty"),
    "n44-a-list": (b"[1]", "not a JSON object"),
    "n44-a-number": (b"7", "not a JSON object"),
    "n44-null": (b"null", "not a JSON object"),
    "n44-text-after-it": (b"{} x", "line 1 column 4"),
    "n44-single-quotes": (b"{'a': 1}", "line 1 column 2"),
    "n44-Latin-1": (b'{"a": "\xe4"}', "UTF-8"),
    "n44-UTF-16": ('{"a": 1}'.encode("utf-16"), "UTF-8"),
    "n44-deep": (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "nested"),
    "n44-binary": (bytes(range(256)), "UTF-8"),
}
INSIDE = (
    "config.json",
    "adapter_config.json",
    "trainer_state.json",
    "generation_config.json",
    "tokenizer_config.json",
)


@numbered("case", BROKEN)
def test_a_meta_file_is_refused(
    mstore: Callable[..., Any], stand: Path, case: tuple[bytes, str]
) -> None:
    content, fragment = case
    (stand / "meta.json").write_bytes(content)
    (stand / "out/config.json").write_text("{}")
    with Unchanged(stand, stand / "out"):
        _, _, err = mstore("commit", "out", "-m", "no", "--meta-file", "meta.json", code=6)
    assert "meta.json" in err and fragment in err, err


@numbered("case", BROKEN)
@pytest.mark.parametrize("name", INSIDE[:3])
def test_inside_the_directory_it_is_bytes(
    mstore: Callable[..., Any], stand: Path, case: tuple[bytes, str], name: str
) -> None:
    write_adapter(stand / "ad")
    (stand / "ad/config.json").write_text('{"architectures": ["X"]}')
    (stand / "ad/trainer_state.json").write_text('{"global_step": 5, "log_history": []}')
    (stand / "ad" / name).write_bytes(case[0])
    _code, _out, err = mstore("commit", "ad", "-m", "bytes", "--branch", "b")
    assert "warning" in err and name in err, err
    recorded = json.loads(mstore("log", "b", "--json")[1])["versions"][0]["metadata"]["recorded"]
    fact = {"config.json": "model", "adapter_config.json": "adapters", "trainer_state.json": "trainer"}[
        name
    ]
    if fact == "model":
        assert "architectures" not in recorded.get("model", {})
    else:
        assert fact not in recorded
    mstore("checkout", "b", "--to", "back")
    assert contents(stand / "back") == contents(stand / "ad")
    for command in (["show", "b"], ["ls", "b"], ["diff", "main", "b"], ["log", "b"]):
        mstore(*command)


def test_n44_bare_nan_and_infinity_are_read(mstore: Callable[..., Any], stand: Path) -> None:
    write_model(stand / "m")
    row = '{"step": 3, "loss": NaN, "grad_norm": Infinity, "x": -Infinity}'
    state = f'{{"global_step": 3, "log_history": [{row}]}}'
    (stand / "m/trainer_state.json").write_text(state)
    (stand / "m/config.json").write_text('{"architectures": ["GPT2LMHeadModel"], "eps": NaN}')
    (stand / "meta.json").write_text('{"best": NaN, "inner": {"worst": [Infinity]}}')
    mstore("commit", "m", "-m", "nan", "--branch", "b", "--meta-file", "meta.json")
    text = mstore("log", "b", "--json")[1]
    found = json.loads(text, parse_constant=lambda c: pytest.fail(f"bare {c} in --json"))
    entry = found["versions"][0]
    assert entry["metrics"]["loss"] == "NaN"
    assert entry["metrics"]["grad_norm"] == "Infinity"
    assert entry["metrics"]["x"] == "-Infinity"
    assert entry["metadata"]["best"] == "NaN"
    assert entry["metadata"]["inner"]["worst"] == ["Infinity"]
    for command in (
        ["show", "b", "--json"],
        ["diff", "main", "b", "--json"],
        ["diff", "b", "./out", "--json"],
    ):
        json.loads(mstore(*command)[1], parse_constant=lambda c: pytest.fail(f"bare {c}"))
    mstore("log", "b")
    mstore("show", "b")


@numbered(
    "case",
    {
        "n44-wrong-types-in-config": (
            "config.json",
            {
                "architectures": 5,
                "torch_dtype": [],
                "_name_or_path": {},
                "quantization_config": "x",
                "auto_map": 3,
            },
        ),
        "n44-wrong-types-in-adapter": (
            "adapter_config.json",
            {
                "r": "8",
                "lora_alpha": [],
                "target_modules": 5,
                "rank_pattern": [1],
                "alpha_pattern": "x",
                "modules_to_save": {},
                "base_model_name_or_path": 3,
                "peft_type": 9,
                "revision": [],
            },
        ),
        "n44-huge-numbers-in-adapter": (
            "adapter_config.json",
            {"r": 10**400, "lora_alpha": 1e308, "peft_type": "LORA"},
        ),
        "n44-wrong-types-in-state": (
            "trainer_state.json",
            {
                "global_step": "5",
                "epoch": [],
                "log_history": {"a": 1},
                "best_metric": "x",
                "stateful_callbacks": [1],
            },
        ),
        "n44-odd-rows-in-state": (
            "trainer_state.json",
            {
                "global_step": 5,
                "log_history": [
                    1,
                    None,
                    {"step": 5, "loss": "low", "a": True, "b": 10**400},
                    {"step": -1},
                ],
            },
        ),
        "n44-surrogates": (
            "adapter_config.json",
            {"r": 4, "base_model_name_or_path": "\ud800", "target_modules": ["\udfff"]},
        ),
        "n44-control-characters": (
            "config.json",
            {"architectures": ["\x1b[2J\u202e"], "_name_or_path": "\x1b]0;x\x07"},
        ),
    },
)
def test_facts_of_wrong_types_are_absent(
    mstore: Callable[..., Any], stand: Path, case: tuple[str, Any]
) -> None:
    write_adapter(stand / "ad")
    (stand / "ad" / case[0]).write_text(json.dumps(case[1]))
    mstore("commit", "ad", "-m", "odd", "--branch", "b")
    mstore("checkout", "b", "--to", "back")
    assert contents(stand / "back") == contents(stand / "ad")
    for command in (["show", "b"], ["log", "b"], ["diff", "main", "b"], ["diff", "./ad", "./out"]):
        _, out, err = mstore(*command)
        assert "\x1b" not in out + err and "\u202e" not in out + err
    json.loads(mstore("log", "b", "--json")[1])["versions"]


# -- 45, 46: code and pickles


def test_n45_code_is_kept_and_never_imported(mstore: Callable[..., Any], stand: Path) -> None:
    write_model(stand / "m")
    trap = f"import pathlib; pathlib.Path({str(stand / 'ran')!r}).touch()\n"
    for name in (
        "modeling_x.py",
        "configuration_x.py",
        "sitecustomize.py",
        "conftest.py",
        "__init__.py",
    ):
        (stand / "m" / name).write_text(trap)
    (stand / "m/config.json").write_text(
        json.dumps(
            {"auto_map": {"AutoModel": "modeling_x.X"}, "architectures": ["X"], "model_type": "x"}
        )
    )
    _, _, err = mstore("commit", "m", "-m", "code", "--branch", "b")
    assert "warning" in err and "auto_map" in err and "never imported" in err
    mstore("checkout", "b", "--to", "back")
    mstore("diff", "b", "./out")
    mstore("show", "b")
    assert contents(stand / "back") == contents(stand / "m")
    assert not (stand / "ran").exists()
    assert "modeling_x" not in sys.modules
    done = subprocess.run(
        [sys.executable, "-m", "mstore.cli", "status"],
        cwd=stand / "m",
        capture_output=True,
        text=True,
        check=False,
    )
    assert not (stand / "ran").exists(), done.stderr


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.path),))


def _pickled(folder: Path, name: str, ran: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(pickle.dumps(_Trap(ran), protocol=2))


def _torch_zip(folder: Path, name: str, ran: Path) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as made:
        made.writestr("archive/data.pkl", pickle.dumps(_Trap(ran), protocol=2))
        made.writestr("archive/data/0", bytes(5000))
        made.writestr("archive/version", "3\n")


PICKLES: dict[str, tuple[Callable[[Path, str, Path], None], str]] = {
    f"n46-{make.__name__.strip('_')}-{name}": (make, name)
    for make in (_pickled, _torch_zip)
    for name in (
        "pytorch_model.bin",
        "model.pt",
        "optimizer.pt",
        "training_args.bin",
        "adapter_model.bin",
        "x.pth",
    )
}


@numbered("case", PICKLES)
def test_a_pickle_is_bytes(mstore: Callable[..., Any], stand: Path, case: Any) -> None:
    make, name = case
    make(stand / "m", name, stand / "ran")
    mstore("commit", "m", "-m", "pickle", "--branch", "b", "--allow-no-weights")
    mstore("checkout", "b", "--to", "back")
    mstore("ls", "b", "--tensors")
    mstore("diff", "main", "b", "--stat")
    mstore("status")
    assert contents(stand / "back") == contents(stand / "m")
    assert not (stand / "ran").exists(), "the pickle was executed"


@numbered("make", {"n46-pickle-named-safetensors": _pickled, "n46-zip-named-safetensors": _torch_zip})
def test_a_pickle_named_safetensors(mstore: Callable[..., Any], stand: Path, make: Any) -> None:
    make(stand / "bad", "model.safetensors", stand / "ran")
    with Unchanged(stand, stand / "bad"):
        _, _, err = mstore("commit", "bad", "-m", "no", code=6)
    assert "bad/model.safetensors" in err
    assert not (stand / "ran").exists()


# -- 47: Git LFS pointers

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 548105171\n"
)


@numbered(
    "name",
    {
        f"n47-{name}": name
        for name in (
            "model.safetensors",
            "pytorch_model.bin",
            "model.pt",
            "x.gguf",
            "adapter_model.safetensors",
            "model.onnx",
            "tf_model.h5",
            "model.ckpt",
        )
    },
)
@pytest.mark.parametrize("options", [(), ("--allow-opaque",)], ids=["", "opaque"])
def test_lfs_pointers(
    mstore: Callable[..., Any], stand: Path, name: str, options: tuple[str, ...]
) -> None:
    (stand / "bad").mkdir()
    (stand / "bad" / name).write_bytes(POINTER)
    with Unchanged(stand, stand / "bad"):
        _, _, err = mstore("commit", "bad", "-m", "no", *options, code=6)
    assert f"bad/{name}" in err and "git lfs pull" in err


# -- 48, 49: links and special files


def _link(target: str, name: str = "extra.txt") -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        (folder.parent / "elsewhere").mkdir()
        (folder.parent / "elsewhere/file").write_text("secret")
        (folder / "own.txt").write_text("own")
        os.symlink(target, folder / name)

    return build


def _socket(folder: Path) -> None:
    here = os.getcwd()
    os.chdir(folder)  # names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("s")
    finally:
        os.chdir(here)


def _device(folder: Path) -> None:
    try:
        os.mknod(folder / "zero", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    except (PermissionError, AttributeError):
        pytest.skip("a device file cannot be made here")


SPECIAL: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "n48-outside": (_link("../elsewhere/file"), "extra.txt", "symbolic link"),
    "n48-absolute": (_link("/etc/passwd"), "extra.txt", "symbolic link"),
    "n48-inside": (_link("own.txt"), "extra.txt", "symbolic link"),
    "n48-dangling": (_link("nowhere"), "extra.txt", "symbolic link"),
    "n48-loop": (_link("extra.txt"), "extra.txt", "symbolic link"),
    "n48-folder": (_link("../elsewhere"), "extra.txt", "symbolic link"),
    "n48-its-own-folder": (_link("."), "extra.txt", "symbolic link"),
    "n48-proc": (_link("/proc/self/environ"), "extra.txt", "symbolic link"),
    "n48-device": (_link("/dev/zero"), "extra.txt", "symbolic link"),
    "n48-weights": (
        _link("../elsewhere/file", "pytorch_model.bin"),
        "pytorch_model.bin",
        "symbolic link",
    ),
    "n48-ignore-file": (_link("../elsewhere/file", ".mstoreignore"), ".mstoreignore", "symbolic link"),
    "n48-ignore-file-endless": (_link("/dev/zero", ".mstoreignore"), ".mstoreignore", "symbolic link"),
    "n48-name-with-escapes": (_link("/etc/passwd", "\x1b[2Jx"), "\\x1b[2Jx", "symbolic link"),
    "n49-FIFO": (lambda folder: os.mkfifo(folder / "pipe"), "pipe", "FIFO"),
    "n49-FIFO-named-weights": (
        lambda folder: os.mkfifo(folder / "adapter_model.safetensors"),
        "adapter_model.safetensors",
        "FIFO",
    ),
    "n49-FIFO-named-config": (
        lambda folder: os.mkfifo(folder / "adapter_config.json"),
        "adapter_config.json",
        "FIFO",
    ),
    "n49-FIFO-named-ignore-file": (
        lambda folder: os.mkfifo(folder / ".mstoreignore"),
        ".mstoreignore",
        "FIFO",
    ),
    "n49-socket": (_socket, "s", "socket"),
    "n49-device": (_device, "zero", "device"),
}


def _in_another_process(*arguments: str) -> tuple[int, str]:
    """Run a command that may hang, or take all memory."""
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30));"
    code += "from mstore.cli import run; sys.exit(run(sys.argv[1:]))"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.fail(f"mstore {' '.join(arguments)} hangs")
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@numbered("case", SPECIAL)
def test_what_is_no_file(mstore: Callable[..., Any], stand: Path, case: tuple[Any, str, str]) -> None:
    build, name, rule = case
    write_model(stand / "bad", elements=3000)
    build(stand / "bad")
    commands = (
        ["commit", "bad", "-m", "no"],
        ["commit", "bad", "--allow-opaque", "--allow-incomplete"],
    )
    with Unchanged(stand, stand / "out", stand / "bad"):
        for command in commands:
            if name == ".mstoreignore":
                code, err = _in_another_process(*command)
            else:
                code, _, err = mstore(*command, code=None)
            assert code == 6, err
            assert f"bad/{name}" in err and rule in err, err


@numbered("case", {id: SPECIAL[id] for id in ("n48-outside", "n48-folder", "n49-FIFO", "n49-socket")})
def test_what_is_no_file_in_a_sub_folder(mstore: Callable[..., Any], stand: Path, case: Any) -> None:
    write_model(stand / "bad/deep", elements=3000)
    case[0](stand / "bad/deep")
    with Unchanged(stand, stand / "bad"):
        _, _, err = mstore("commit", "bad", "-m", "no", code=6)
    assert case[2] in err


@numbered("case", {id: SPECIAL[id] for id in ("n48-outside", "n49-FIFO", "n49-socket")})
def test_what_is_ignored_is_no_matter(mstore: Callable[..., Any], stand: Path, case: Any) -> None:
    write_model(stand / "bad", elements=3000)
    case[0](stand / "bad")
    (stand / "bad/.mstoreignore").write_text(f"{case[1]}\n")
    mstore("commit", "bad", "-m", "fine", "--branch", "b")


def _hub(root: Path, target: str) -> Path:
    """A snapshot as huggingface_hub lays it out, its weights being a link."""
    repository = root / "hub/models--org--name"
    snapshot = repository / "snapshots/abc123"
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    save_tensors(repository / "blobs/d1gest", ONE)
    (snapshot / "config.json").write_text("{}")
    os.symlink(target, snapshot / "model.safetensors")
    return snapshot


def test_n48_links_inside_a_hub_cache_are_followed(mstore: Callable[..., Any], stand: Path) -> None:
    snapshot = _hub(stand, "../../blobs/d1gest")
    mstore("commit", str(snapshot), "-m", "hub", "--branch", "b")
    mstore("checkout", "b", "--to", "back")
    blob = stand / "hub/models--org--name/blobs/d1gest"
    assert (stand / "back/model.safetensors").read_bytes() == blob.read_bytes()
    assert not (stand / "back/model.safetensors").is_symlink()


@numbered(
    "target",
    {
        "n48-hub-outside": "../../../../out/model.safetensors",
        "n48-hub-absolute": "/etc/passwd",
        "n48-hub-another-repository": "../../../models--org--other/blobs/x",
        "n48-hub-dangling": "../../blobs/none",
        "n48-hub-folder": "../../blobs",
    },
)
def test_links_that_leave_a_hub_cache(mstore: Callable[..., Any], stand: Path, target: str) -> None:
    snapshot = _hub(stand, target)
    (stand / "hub/models--org--other/blobs").mkdir(parents=True)
    save_tensors(stand / "hub/models--org--other/blobs/x", ONE)
    with Unchanged(stand, stand / "hub"):
        _, _, err = mstore("commit", str(snapshot), "-m", "no", code=6)
    assert "model.safetensors" in err


def test_n48_a_link_through_a_hub_blob_that_is_a_link(mstore: Callable[..., Any], stand: Path) -> None:
    snapshot = _hub(stand, "../../blobs/hop")
    os.symlink(stand / "out/model.safetensors", stand / "hub/models--org--name/blobs/hop")
    with Unchanged(stand):
        mstore("commit", str(snapshot), "-m", "no", code=6)


# -- 50: unreadable files


@numbered(
    "name",
    {
        "n50-weights": "model.safetensors",
        "n50-config": "config.json",
        "n50-folder": "sub",
        "n50-ignore-file": ".mstoreignore",
    },
)
def test_what_cannot_be_read(mstore: Callable[..., Any], commons: Path, name: str) -> None:
    """As a user without rights: nothing is unreadable for root."""
    write_model(commons / "bad", elements=3000)
    (commons / "bad/sub").mkdir()
    (commons / "bad/sub/x.txt").write_text("x")
    (commons / "bad/.mstoreignore").write_text("*.log\n")
    os.chmod(commons / "bad/model.safetensors", 0o644)
    code, _, err = as_nobody(["init"], folder=commons)
    assert code == 0, err
    os.chmod(commons / "bad" / name, 0)
    try:
        before = _whole(commons / ".mstore")
        code, _, err = as_nobody(["commit", "bad", "-m", "no"], folder=commons)
        assert code == 6, f"{code}: {err}"
        assert f"bad/{name}" in err
        assert "ermission" in err
        assert _whole(commons / ".mstore") == before
    finally:
        os.chmod(commons / "bad" / name, 0o755)
    code, _, err = as_nobody(["commit", "bad", "-m", "yes"], folder=commons)
    assert code == 0, err


def _whole(workspace: Path) -> Any:
    from tests.bad_inputs.stand import listing

    return listing(workspace, leave_out=("store/tmp", "cache"))


# -- 51: files that change


def _truncate(path: Path) -> None:
    os.truncate(path, 5000)


def _append(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(b"more")


def _edit(path: Path) -> None:
    """Of equal size, and with the time set back: only the change time tells."""
    status = path.stat()
    with open(path, "r+b") as file:
        file.seek(status.st_size - 4)
        file.write(b"XXXX")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _replace(path: Path) -> None:
    content = path.read_bytes()
    path.with_name("new.tmp").write_bytes(content)
    os.replace(path.with_name("new.tmp"), path)


def _vanish(path: Path) -> None:
    path.unlink()


def _becomes_a_link(path: Path) -> None:
    path.rename(path.parent.parent / "moved")
    path.symlink_to(path.parent.parent / "moved")


CHANGES = {
    "n51-truncated": _truncate,
    "n51-longer": _append,
    "n51-edited": _edit,
    "n51-replaced": _replace,
    "n51-deleted": _vanish,
    "n51-becomes-a-link": _becomes_a_link,
}


@numbered("change", CHANGES)
@pytest.mark.parametrize(
    "after", [0, 1, 3], ids=["before-it-is-opened", "after-one-read", "after-three"]
)
def test_files_that_change(
    mstore: Callable[..., Any],
    stand: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None],
    after: int,
) -> None:
    write_model(stand / "bad", seed=7, elements=400_000)
    target = stand / "bad/model.safetensors"
    lock = threading.Lock()
    reads = 0
    right_read, right_init = OpenFile.read, OpenFile.__init__

    def read(self: OpenFile, offset: int, size: int, /) -> bytes:
        nonlocal reads
        found = right_read(self, offset, size)
        if self.name.endswith("bad/model.safetensors"):
            with lock:
                reads += 1
                if reads == after:
                    change(target)
        return found

    def init(self: OpenFile, file: Any) -> None:
        nonlocal reads
        if after == 0 and reads == 0 and file.path == "model.safetensors":
            reads += 1
            change(target)
        right_init(self, file)

    with monkeypatch.context() as meanwhile, Unchanged(stand, stand / "out"):
        meanwhile.setattr(OpenFile, "read", read)
        meanwhile.setattr(OpenFile, "__init__", init)
        _, _, err = mstore("commit", "bad", "-m", "no", code=6)
    assert reads >= after
    assert "bad/model.safetensors" in err


def test_n51_a_file_that_is_written_all_the_while(stand: Path) -> None:
    """A thread that goes on writing: refused each time, or what was committed is one state of it."""
    save_tensors(stand / "bad/model.safetensors", {"w": np.zeros(500_000, np.float32)})
    path = stand / "bad/model.safetensors"
    size = path.stat().st_size
    stop = threading.Event()

    def write() -> None:
        value = 0
        while not stop.is_set():
            value = (value + 1) % 256
            with open(path, "r+b") as file:
                file.seek(size - 2_000_000)
                file.write(bytes([value]) * 2_000_000)

    repo = api.open(stand)
    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(5):
            try:
                repo.commit(stand / "bad", message=str(number), branch="b", by_hand=False)
            except InvalidInput:
                continue
            kept = repo.read_file("b", "model.safetensors")[-2_000_000:]
            assert len(set(kept)) <= 2, "a state that the file never had"
    finally:
        stop.set()
        thread.join()
    assert repo.fsck().ok
    repo.close()


# -- 52: a store in the model directory


def test_n52_the_store_is_left_out(mstore: Callable[..., Any], workshop: Path) -> None:
    write_model(workshop, elements=3000)
    mstore("init", code=6)
    mstore("init", "--force")
    _, out, _ = mstore("commit", ".", "-m", "here")
    assert ".mstore/" in out
    names = [f["path"] for f in json.loads(mstore("ls", "--json")[1])["files"]]
    assert names == ["config.json", "model.safetensors", "tokenizer.json"]
    assert "nothing changed" in mstore("status")[1]
    (workshop / "config.json").write_text('{"b": 1}')
    mstore("commit", "-m", "two")
    mstore("checkout", "HEAD~1")
    assert (workshop / ".mstore/store/store.json").exists()
    assert "seed" in (workshop / "config.json").read_text()
    mstore("fsck")


@numbered(
    "rule", {"n52-plain": "", "n52-taken-back": "!.mstore/\n!.mstore/**\n", "n52-everything": "!*\n"}
)
def test_a_store_elsewhere_in_the_model_directory(
    mstore: Callable[..., Any], workshop: Path, rule: str
) -> None:
    write_model(workshop / "out", elements=3000)
    mstore("init", "--store", "out/deep/versions")
    (workshop / "out/.mstoreignore").write_text(rule)
    mstore("commit", "out", "-m", "one")
    paths = [f["path"] for f in json.loads(mstore("ls", "--json")[1])["files"]]
    assert not any("versions" in p for p in paths)
    mstore("commit", "out", "-m", "again", "--allow-empty")
    assert not any("versions" in f["path"] for f in json.loads(mstore("ls", "--json")[1])["files"])
    (workshop / "out/config.json").write_text("{}")
    mstore("commit", "-m", "two")
    mstore("checkout", "HEAD~1")
    assert (workshop / "out/deep/versions/store.json").exists(), "checkout removed the store"
    mstore("fsck")


@numbered("rule", {"n52-its-own-taken-back": "!.mstore/\n!.mstore/**\n"})
def test_its_own_store_whatever_the_ignore_file_says(
    mstore: Callable[..., Any], workshop: Path, rule: str
) -> None:
    write_model(workshop, elements=3000)
    (workshop / ".mstoreignore").write_text(rule)
    mstore("init", "--force")
    mstore("commit", ".", "-m", "one")
    assert not any("store.json" in f["path"] for f in json.loads(mstore("ls", "--json")[1])["files"])


def test_n52_another_workspace_in_the_model_directory(
    mstore: Callable[..., Any], workshop: Path
) -> None:
    """Somebody ran `mstore init` inside the output folder once: left out too."""
    write_model(workshop / "out", elements=3000)
    os.chdir(workshop / "out")
    mstore("init", "--force")
    os.chdir(workshop)
    mstore("init")
    _, out, _ = mstore("commit", "out", "-m", "one")
    assert ".mstore/" in out
    assert len(json.loads(mstore("ls", "--json")[1])["files"]) == 3


# -- 53: nothing to keep


def _only_checkpoints(folder: Path) -> None:
    write_model(folder / "checkpoint-5", elements=3000)
    write_model(folder / "checkpoint-10", elements=3000)


EMPTY: dict[str, tuple[Callable[[Path], Any], tuple[str, ...]]] = {
    "n53-empty": (lambda folder: None, ("is empty", "--allow-no-weights")),
    "n53-empty-folders": (
        lambda folder: (folder / "a/b").mkdir(parents=True),
        ("is empty", "--allow-no-weights"),
    ),
    "n53-no-weights": (
        lambda folder: (folder / "README.md").write_text("x"),
        ("holds no weights", "--allow-no-weights"),
    ),
    "n53-config-alone": (
        lambda folder: (folder / "config.json").write_text("{}"),
        ("holds no weights",),
    ),
    "n53-adapter-config-alone": (
        lambda folder: (folder / "adapter_config.json").write_text("{}"),
        ("holds no weights",),
    ),
    "n53-index-alone": (
        lambda folder: (folder / "model.safetensors.index.json").write_text("{}"),
        ("holds no weights",),
    ),
    "n53-optimizer-alone": (
        lambda folder: (folder / "optimizer.pt").write_bytes(b"x"),
        ("holds no weights",),
    ),
    "n53-only-checkpoints": (_only_checkpoints, ("checkpoint-10", "mstore import")),
}


@numbered("case", EMPTY)
def test_nothing_to_keep(mstore: Callable[..., Any], stand: Path, case: Any) -> None:
    build, fragments = case
    (stand / "bad").mkdir()
    build(stand / "bad")
    with Unchanged(stand, stand / "out", stand / "bad"):
        _, _, err = mstore("commit", "bad", "-m", "no", code=6)
    assert "bad" in err and "hint" in err
    for fragment in fragments:
        assert fragment in err, err
    mstore("commit", "bad", "-m", "all the same", "--allow-no-weights", "--branch", "b")
    mstore("checkout", "b", "--to", "back")
    assert (stand / "back").is_dir()


def test_n53_no_such_folder(mstore: Callable[..., Any], stand: Path) -> None:
    with Unchanged(stand):
        _, _, err = mstore("commit", "nowhere", code=3)
        assert "nowhere" in err
        _, _, err = mstore("commit", "out/model.safetensors", code=6)
        assert "is a file" in err


def test_n53_the_hints_work_as_written(mstore: Callable[..., Any], stand: Path) -> None:
    _only_checkpoints(stand / "runs-of-mine")
    _, _, err = mstore("commit", "runs-of-mine", code=6)
    commands = [part for part in err.split("`") if part.startswith("mstore ")]
    assert len(commands) == 2
    for command in commands:
        mstore(*command.split()[1:])
