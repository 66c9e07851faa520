"""Makes docs/json.md: what `--json` gives, from the types in `mstore.render.json`.

The examples are what the calls of CALLS printed in a small store; they lie in
docs/json-examples.json, and only `python docs/generate.py examples` makes them anew. Tests run
the same calls and hold the page, the types, the examples and the commands together.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, NotRequired, get_args, get_origin, is_typeddict

import numpy as np

from mstore import errors
from mstore.render.json.catalogue import FORMS, WITHOUT, fields_of
from mstore.render.json.shared import FailureDocument

HERE: Final = Path(__file__).parent
EXAMPLES: Final = HERE / "json-examples.json"
WIDTH: Final = 96

# -- a small store, and every command in it


def write_files(folder: Path) -> None:
    """Write a model with training state, two adapters, and a run's checkpoints."""
    from safetensors.numpy import save_file

    (folder / "runs/checkpoint-10").mkdir(parents=True)
    for seed, name in enumerate(("out", "runs/checkpoint-10")):
        (folder / name).mkdir(exist_ok=True)
        weights = np.random.default_rng(seed).standard_normal((40, 25)).astype(np.float32)
        save_file({"embed.weight": weights}, folder / name / "model.safetensors")
        (folder / name / "config.json").write_text('{"architectures": ["GPT2LMHeadModel"]}')
        (folder / name / "optimizer.pt").write_bytes(np.random.default_rng(9).bytes(3000))
        state = {"global_step": 10 + seed, "log_history": [{"step": 10 + seed, "loss": 1.5}]}
        (folder / name / "trainer_state.json").write_text(json.dumps(state))
    for rank in (4, 8):
        random = np.random.default_rng(rank)
        factors = {"A": random.standard_normal((rank, 16)), "B": random.standard_normal((48, rank))}
        (folder / f"r{rank}").mkdir()
        prefix = "base_model.model.transformer.h.0.attn.c_attn.lora"
        save_file(
            {f"{prefix}_{part}.weight": f.astype(np.float32) for part, f in factors.items()},
            folder / f"r{rank}/adapter_model.safetensors",
        )
        config = {"peft_type": "LORA", "r": rank, "lora_alpha": 16, "target_modules": ["c_attn"]}
        (folder / f"r{rank}/adapter_config.json").write_text(json.dumps(config))


def train_on(folder: Path) -> None:
    """Change the model and its training state, as more training does."""
    path = folder / "out/model.safetensors"
    content = bytearray(path.read_bytes())
    content[-4:] = b"\x00\x00\x80\x3f"
    path.write_bytes(content)
    (folder / "out/optimizer.pt").write_bytes(np.random.default_rng(11).bytes(3000))


CALLS: Final[tuple[tuple[str | None, str | Callable[[Path], None]], ...]] = (
    ("init", "init"),
    ("commit --dry-run", "commit out --dry-run"),
    ("commit", "commit out -m first --metric eval_loss=1.5"),
    (None, train_on),
    ("config", "config model-dir out"),
    ("status", "status"),
    ("commit", "commit -m second --metric eval_loss=1.25 --meta lr=0.0002"),
    ("commit", "commit --metric accuracy=nan"),
    (None, "commit r4 --branch r4 -m r=4 --base main"),
    (None, "commit r8 --branch r8 -m r=8 --base main"),
    ("note", "note main --metric mmlu=0.5"),
    ("branch NAME", "branch try r4"),
    ("branch NAME", "branch try --rename tried"),
    ("branch", "branch"),
    ("tag NAME", "tag v1 main~1 -m shipped"),
    ("tag NAME", "tag v2 main"),
    ("tag", "tag"),
    ("log", "log"),
    ("show", "show main"),
    ("compare", "compare main~1 main"),
    ("ls", "ls r4"),
    ("ls --tensors", "ls r4 --tensors"),
    ("diff", "diff r4 r8 --stat"),
    ("diff", "diff main~1 ./out --stat"),
    ("du", "du r8"),
    ("reflog", "reflog tried"),
    ("undo --dry-run", "undo --dry-run"),
    ("undo", "undo"),
    ("tag NAME", "tag -d v1"),
    ("checkout --dry-run", "checkout main~1 --to there --dry-run"),
    ("checkout", "checkout r4 --to there"),
    ("resume", "resume main~1 --to again"),
    ("import --dry-run", "import runs --dry-run"),
    ("import", "import runs"),
    ("show", "show runs"),
    ("forget --dry-run", "forget --role training-state --dry-run"),
    ("forget", "forget --role training-state --yes"),
    ("show", "show main~1"),
    ("branch NAME", "branch -d runs"),
    ("gc --dry-run", "gc --now --dry-run"),
    ("gc", "gc --now --yes"),
    ("gc", "gc --yes"),
    ("repack --dry-run", "repack --dry-run"),
    ("repack", "repack"),
    ("fsck --repair --dry-run", "fsck --repair --dry-run"),
    ("fsck", "fsck"),
    ("config", "config"),
)
"""The form that a call answers in, and the call without `--json`, in a folder of `write_files`.
The last call of a form is its example."""

LAST_EXAMPLES: Final = {"show", "commit", "gc", "diff", "branch NAME", "tag NAME", "config"}
"""Forms whose first call is the example, since later ones try what is rare."""


def make_examples() -> None:
    """Run all calls in a new store, and keep what they printed."""
    from mstore.cli import run

    kept: dict[str, list[Any]] = {}
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve() / "models"
        folder.mkdir()
        write_files(folder)
        os.environ["MSTORE_AUTHOR"] = "Ada <ada@example.org>"
        os.chdir(folder)
        for form, call in CALLS:
            if not isinstance(call, str):
                call(folder)
                continue
            with contextlib.redirect_stdout(io.StringIO()) as shown:
                code = run([*call.split(), *(["--json"] if form else [])])
            assert code == 0, call
            if form is not None and not (form in LAST_EXAMPLES and form in kept):
                text = shown.getvalue().replace(str(folder.parent), "")
                kept[form] = [f"mstore {call} --json", _shortened(json.loads(text))]
        os.chdir(before)
    EXAMPLES.write_text(json.dumps(kept, indent=1) + "\n")


def _shortened(value: Any) -> Any:
    """Return the same without what was recorded of the machine, which is long."""
    if isinstance(value, list):
        return [_shortened(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    made = {key: _shortened(inner) for key, inner in value.items()}
    if isinstance(made.get("metadata"), dict):
        made["metadata"].pop("recorded", None)
    if "rows" in made:
        made["rows"] = {k: v for k, v in made["rows"].items() if not k.startswith("recorded.")}
    return made


# -- the page


def json_page() -> str:
    """Make the text of docs/json.md."""
    examples = json.loads(EXAMPLES.read_text())
    parts = [(HERE / "json-introduction.md").read_text(), _failures(), "\n## Commands\n"]
    for form, given in FORMS.items():
        parts.append(f"\n### {form}\n\n{_about(given.kind)}\n")
        if given.elements is not None:
            parts.append(f"\n`{given.elements}` is printed element by element, a line each.\n")
        parts.append("\n" + _table(given.kind))
        call, shown = examples[form]
        parts.append(f"\n```\n$ {call}\n{pretty(shown)}\n```\n")
    left = ", ".join(f"`{name}` ({why})" for name, why in WITHOUT.items())
    parts.append(f"\nWithout `--json`: {left}.\n\n## Objects in them\n")
    for kind in _inner([given.kind for given in FORMS.values()]):
        parts.append(f"\n### {name_of(kind)}\n\n{_about(kind)}\n\n{_table(kind)}")
    return "".join(parts)


def _failures() -> str:
    rows = "".join(
        f"| `{code}` | {exit_code} | {what} |\n" for code, exit_code, what in sorted(codes(), key=_row)
    )
    (error,) = fields_of(FailureDocument).values()
    return f"{_table(error)}\n| `code` | `exit` | what happened |\n|---|---|---|\n{rows}"


def _row(code: tuple[str, int, str]) -> tuple[int, str]:
    return code[1], code[0]


def codes() -> list[tuple[str, int, str]]:
    """Every code of a failure, its exit code, and what happened."""
    kinds = [getattr(errors, name) for name in errors.__all__]
    made = [(kind.code, kind.exit_code, _first_line(kind).rstrip(".")) for kind in kinds]
    return [
        *((c, e, "Another failure" if c == "failed" else what) for c, e, what in made),
        ("output-failed", 1, "The output cannot be written"),
        ("defect", 1, "A defect of mstore: please report it"),
        ("interrupted", 130, "Ctrl-C"),
    ]


def _first_line(kind: Any) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def name_of(kind: Any) -> str:
    """Give the name of an object as the page has it."""
    name: str = kind.__name__
    return name.removesuffix("Document")


def _about(kind: Any) -> str:
    return (inspect.getdoc(kind) or "").partition("\n\nArgs:")[0]


def meanings(kind: Any) -> dict[str, str]:
    """Return what the docstrings of a type, and of those it adds to, say of each field."""
    found: dict[str, str] = {}
    for base in _bases(kind):
        found.update(meanings(base))
    listed = (inspect.getdoc(kind) or "").partition("\n\nArgs:\n")[2]
    for name, text in re.findall(r"^    (\w+): ((?:.*\n?)(?:        .*\n?)*)", listed, re.MULTILINE):
        found[name] = " ".join(text.split())
    return found


def _bases(kind: Any) -> list[Any]:
    """Types whose fields a type takes over; Python 3.11 does not keep them."""
    module = sys.modules[kind.__module__]
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
            named = [getattr(module, b.id) for b in node.bases if isinstance(b, ast.Name)]
            return [base for base in named if is_typeddict(base)]
    return []


def _table(kind: Any) -> str:
    said = meanings(kind)
    rows = ["| field | type | unit | meaning | null |\n|---|---|---|---|---|\n"]
    for name, hint in fields_of(kind).items():
        shown, unit, may_be_null = _type(hint)
        meaning, _, null = said[name].rstrip(".").partition("; null ")
        empty = null if may_be_null else ""
        rows.append(f"| `{name}` | {shown} | {unit} | {meaning} | {empty} |\n")
    return "".join(rows)


UNITS: Final = {"id": "hex", "bytes": "bytes", "time": "ISO 8601", "number": ""}
WORDS: Final = {str: "text", int: "integer", float: "number", bool: "true or false", Any: "any"}


def _type(hint: Any) -> tuple[str, str, bool]:
    """Describe a type in words, its unit, and whether it may be null."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is NotRequired:
        shown, unit, null = _type(arguments[0])
        return f"{shown}, may be absent", unit, null
    if origin is Annotated:
        word = {"number": "number", "bytes": "integer"}.get(arguments[1], "text")
        return word, UNITS[arguments[1]], False
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments), "", False
    if isinstance(hint, UnionType) or str(origin) == "typing.Union":
        kept = [_type(a) for a in arguments if a is not NoneType]
        words = " or ".join(dict.fromkeys(word for word, _, _ in kept))
        return words, kept[0][1], NoneType in arguments
    if origin is list:
        word, unit, _ = _type(arguments[0])
        return f"list of {word}", unit, False
    if origin is Mapping or (isinstance(origin, type) and issubclass(origin, Mapping)):
        word, unit, _ = _type(arguments[1])
        return f"object: {word} by name", unit, False
    if is_typeddict(hint):
        return f"[{name_of(hint)}](#{name_of(hint).lower()})", "", False
    return WORDS[hint], "", False


def _inner(kinds: list[Any]) -> list[Any]:
    """Types that fields of some types have, and fields of these, in the order of first use."""
    found: dict[str, Any] = {}
    waiting = [hint for kind in kinds for hint in fields_of(kind).values()]
    while waiting:
        hint = waiting.pop(0)
        if is_typeddict(hint):
            if hint.__name__ not in found:
                found[hint.__name__] = hint
                waiting += fields_of(hint).values()
        else:
            waiting[:0] = [a for a in get_args(hint) if not isinstance(a, str)]
    return sorted(found.values(), key=name_of)


def pretty(value: Any, indent: int = 0) -> str:
    """JSON that breaks lines only where they would be too long."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + indent <= WIDTH or not isinstance(value, (dict, list)) or not value:
        return flat
    space = " " * (indent + 2)
    if isinstance(value, dict):
        inner = [f"{json.dumps(k)}: {pretty(v, indent + 2)}" for k, v in value.items()]
        return "{\n" + ",\n".join(space + line for line in inner) + "\n" + " " * indent + "}"
    inner = [pretty(v, indent + 2) for v in value]
    return "[\n" + ",\n".join(space + line for line in inner) + "\n" + " " * indent + "]"
