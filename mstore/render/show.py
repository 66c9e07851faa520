"""Format one version in full, and the files and tensors of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mstore.render.log_columns import names_text
from mstore.render.style import plain
from mstore.text import age, counted, escaped, jsonable, number, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.history.show import CommitDetails
    from mstore.history.tensors import TensorRef
    from mstore.objects import Base, ManifestFile
    from mstore.render.style import Style


def show_lines(found: CommitDetails, style: Style = plain) -> Iterator[str]:
    """Format a version: who, when, from what; message, metrics, metadata, files."""
    yield from _heading(found, style)
    yield ""
    for line in found.entry.commit.message.split("\n"):
        yield "    " + escaped(line)
    entry = found.entry
    if entry.metrics:
        yield ""
        yield style("metrics", "bold")
        for name, value in sorted(entry.metrics.items()):
            late = " (noted later)" if name in entry.late.metrics else ""
            yield f"    {escaped(name)} = {number(value)}{late}"
    if entry.metadata:
        yield ""
        yield style("metadata", "bold")
        for name, value in _flat(entry.metadata):
            yield f"    {escaped(name)} = {value_text(value)}"
    yield ""
    yield style("files", "bold")
    for file in found.manifest.files:
        yield "    " + file_line(file)


def _heading(found: CommitDetails, style: Style) -> Iterator[str]:
    entry, commit = found.entry, found.entry.commit
    refs = f" ({names_text(entry)})" if entry.refs else ""
    yield style(f"commit {entry.id.hex}", "yellow") + style(refs, "green")
    if len(entry.parents) != 1:
        yield f"parents  {', '.join(p.short for p in entry.parents) or 'none'}"
    else:
        yield f"parent   {entry.parents[0].short}"
    yield f"author   {escaped(commit.author)}"
    yield f"date     {commit.time.iso()} ({age(commit.time.ns)})"
    if commit.base is not None:
        yield "base     " + _base_text(commit.base)
    for folder, weights in commit.weights.items():
        yield f"weights  {weights.hex[:12]}" + (f"  {escaped(folder)}/" if folder else "")
    sizes = entry.sizes
    more = f"{size(sizes.added_bytes)} that its parent lacks"
    yield f"size     {size(sizes.size_bytes)}, {counted(sizes.tensors, 'tensor')}, {more}"


def _base_text(base: Base) -> str:
    parts = [escaped(base.name)] if base.name else []
    parts += [f"revision {escaped(base.revision)}"] if base.revision else []
    parts += [f"commit {base.commit.short}"] if base.commit else []
    parts += [f"weights {base.weights.hex[:12]}"] if base.weights else []
    return ", ".join(parts)


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, value


def value_text(value: Any) -> str:
    """Format a metadata value for people."""
    if isinstance(value, (dict, list)):
        import json

        return escaped(json.dumps(jsonable(value), ensure_ascii=False))
    return number(value) if value is not None else "null"


def file_line(file: ManifestFile) -> str:
    """Format a file of a version: its size, role and path."""
    return f"{size(file.size_bytes):>8}  {file.role:14}  {escaped(file.path)}"


def tensor_line(tensor: TensorRef) -> str:
    """Format a tensor of a version: its file, name, dtype, shape and size."""
    return (
        f"{escaped(tensor.path)}  {escaped(tensor.name)}  {escaped(tensor.dtype)}"
        f"  {list(tensor.shape)}  {size(tensor.size_bytes)}"
    )
