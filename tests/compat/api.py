"""Describes the public Python names of a release, so that later releases can be held to them.

    python -m tests.compat.api 0.2        writes tests/compat/api-0.2.json

Run once a release, by the code of that release; what it wrote is never written again.
Public are the names that docs/python.md documents or that a documented method takes,
returns or names in its docstring. A module that nothing names is private.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import sys
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent

MODULES: Final = ("mstore", "mstore.errors", "mstore.hf", "mstore.backend")
"""Every name in their `__all__` is public."""

NAMES: Final = {
    "mstore.api.results.log": ("Versions",),
    "mstore.checkout.execute": (
        "CheckoutResult",
        "checkout",
    ),
    "mstore.checkout.undo": (
        "Undone",
        "undo",
    ),
    "mstore.commit.importing": ("ImportResult",),
    "mstore.commit.options": (
        "CommitOptions",
        "CommitResult",
    ),
    "mstore.compare.diff": (
        "DiffResult",
        "diff",
    ),
    "mstore.compare.versions": (
        "Comparison",
        "compare",
    ),
    "mstore.formats": ("Facts",),
    "mstore.history.branches": ("Branch",),
    "mstore.history.entry": ("LogEntry",),
    "mstore.history.log": ("filter_and_sort",),
    "mstore.history.show": ("CommitDetails",),
    "mstore.history.status": ("Status",),
    "mstore.history.tags": ("TagEntry",),
    "mstore.history.tensors": (
        "Tensor",
        "TensorRef",
    ),
    "mstore.maintain.du": ("Usage",),
    "mstore.maintain.forget": (
        "ForgetPlan",
        "ForgetResult",
        "plan_forget",
    ),
    "mstore.maintain.fsck": ("FsckResult",),
    "mstore.maintain.gc": ("GcPlan",),
    "mstore.maintain.gc_run": ("GcResult",),
    "mstore.maintain.repack": ("RepackResult",),
    "mstore.maintain.repair": ("RepairResult",),
    "mstore.objects": (
        "Commit",
        "CommitId",
        "Manifest",
        "NoteId",
    ),
    "mstore.api.discovery": (
        "init",
        "open",
    ),
    "mstore.api.folders": (
        "diff",
        "weights_id",
    ),
    "mstore.api.repository": ("Repository",),
    "mstore.staging.resume": (
        "ResumeResult",
        "resume",
    ),
    "mstore.store": (
        "Record",
        "Store",
    ),
    "mstore.workspace": ("Head",),
}
"""Of other modules these are."""

IMPORT_ONLY: Final = ("mstore.backend", "mstore.store.Store")
"""What callers may import and hand over; its methods are ours to change."""

MADE_BY_CALLERS: Final = ("mstore.errors.", "mstore.hf.", "mstore.commit.options.CommitOptions")
"""Classes that callers make, or raise, themselves; other values are only ever got."""

UNDOCUMENTED: Final = frozenset(
    {"decode", "encoded", "context", "from_dict", "from_list", "line", "parse", "to_dict", "to_list"}
)
"""Methods that other parts of the package call on values, and no page names."""

HANDED_DOWN: Final = frozenset(dir(Exception)) | frozenset(dir(dict)) | frozenset(dir(list))


def parameters(function: Any) -> list[list[Any]] | None:
    """(name, kind, may be left out) of each parameter; None where Python cannot tell."""
    if dataclasses.is_dataclass(function):
        return [
            [f.name, "KEYWORD_ONLY" if f.kw_only else "POSITIONAL_OR_KEYWORD", _has_default(f)]
            for f in dataclasses.fields(function)
        ]
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    described: list[list[Any]] = []
    for p in found:
        keywords = _unpacked(p, function)
        if keywords is None:
            described.append([p.name, p.kind.name, p.default is not p.empty])
        described += [[name, "KEYWORD_ONLY", True] for name in keywords or ()]
    return described


def _unpacked(parameter: inspect.Parameter, function: Any) -> tuple[str, ...] | None:
    """The keywords that `**fields: Unpack[SomeFields]` takes; None of any other parameter."""
    text = str(parameter.annotation)
    if parameter.kind is not parameter.VAR_KEYWORD or not text.startswith("Unpack["):
        return None
    fields = importlib.import_module("mstore.commit.fields").CommitFields
    assert text == f"Unpack[{fields.__name__}]", f"{function} takes keywords that are not known here"
    return tuple(fields.__annotations__)


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def members(kind: type) -> dict[str, list[list[Any]] | None]:
    """Public attributes of a class: parameters of its methods, None for values."""
    fields = {f.name for f in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    found: dict[str, list[list[Any]] | None] = {}
    for name in sorted(fields | set(dir(kind))):
        if name in fields and not name.startswith("_"):
            found[name] = None
            continue
        if name.startswith("_") or name in HANDED_DOWN or name in UNDOCUMENTED:
            continue
        value = inspect.getattr_static(kind, name)
        function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        found[name] = parameters(function) if inspect.isfunction(function) else None
    return found


def describe() -> dict[str, Any]:
    """Everything public, by its dotted name."""
    public = {module: importlib.import_module(module).__all__ for module in MODULES}
    public.update(NAMES)
    described: dict[str, Any] = {}
    for module, names in sorted(public.items()):
        for name in sorted(names):
            dotted = f"{module}.{name}"
            value = getattr(importlib.import_module(module), name)
            about: dict[str, Any] = {}
            described[dotted] = about
            if dotted.startswith(IMPORT_ONLY):
                continue
            if inspect.isclass(value):
                if dotted.startswith(MADE_BY_CALLERS):
                    about["init"] = parameters(value)
                about["members"] = members(value)
                if issubclass(value, Exception):
                    about["exit_code"] = value.exit_code  # type: ignore[attr-defined]
                    about["bases"] = [b.__name__ for b in value.__mro__[1:-2]]
            elif callable(value):
                about["call"] = parameters(value)
    return described


def main() -> None:
    """Write the description of this release."""
    (version,) = sys.argv[1:]
    lines = [f"{json.dumps(name)}: {json.dumps(about)}" for name, about in describe().items()]
    (HERE / f"api-{version}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
