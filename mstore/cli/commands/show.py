"""mstore show: one version in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mstore.cli.context import examples, look_up, repo
from mstore.cli.output import page
from mstore.cli.params import REVISION, json_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.history.query.revision_grammar import Revision
    from mstore.history.show import CommitDetails


@examples("""
mstore show
mstore show r8~1 --json
""")
@click.command()
@click.argument("rev", default="HEAD", type=REVISION)
@json_options()
def show(rev: Revision, as_json: bool) -> None:
    """One version in full: message, metadata, metrics, files, notes."""
    found = repo().show(look_up(rev))
    if as_json:
        from mstore.cli.json_output import show_json
        from mstore.render.json.documents import show_document

        show_json(show_document(found))
        return
    page(_show_lines(found))


def _show_lines(found: CommitDetails) -> Iterator[str]:
    from mstore.cli.log_text import any_text
    from mstore.render.log_columns import names_text
    from mstore.text import age, escaped, number, size

    entry, commit = found.entry, found.entry.commit
    refs = f" ({names_text(entry)})" if entry.refs else ""
    yield click.style(f"commit {entry.id.hex}", fg="yellow") + click.style(refs, fg="green")
    if len(entry.parents) != 1:
        yield f"parents  {', '.join(p.short for p in entry.parents) or 'none'}"
    else:
        yield f"parent   {entry.parents[0].short}"
    yield f"author   {escaped(commit.author)}"
    yield f"date     {commit.time.iso()} ({age(commit.time.ns)})"
    if commit.base is not None:
        base = commit.base
        parts = [escaped(base.name)] if base.name else []
        parts += [f"revision {escaped(base.revision)}"] if base.revision else []
        parts += [f"commit {base.commit.short}"] if base.commit else []
        parts += [f"weights {base.weights.hex[:12]}"] if base.weights else []
        yield "base     " + ", ".join(parts)
    for folder, weights in commit.weights.items():
        yield f"weights  {weights.hex[:12]}" + (f"  {escaped(folder)}/" if folder else "")
    sizes = entry.sizes
    more = f"{size(sizes.added_bytes)} that its parent lacks"
    yield f"size     {size(sizes.size_bytes)}, {sizes.tensors} tensors, {more}"
    yield ""
    for line in commit.message.split("\n"):
        yield "    " + escaped(line)
    if entry.metrics:
        yield ""
        yield click.style("metrics", bold=True)
        for name, value in sorted(entry.metrics.items()):
            late = " (noted later)" if name in entry.late.metrics else ""
            yield f"    {escaped(name)} = {number(value)}{late}"
    if entry.metadata:
        yield ""
        yield click.style("metadata", bold=True)
        for name, value in _flat(entry.metadata):
            yield f"    {escaped(name)} = {any_text(value)}"
    yield ""
    yield click.style("files", bold=True)
    for file in found.manifest.files:
        yield f"    {size(file.size_bytes):>8}  {file.role:14}  {escaped(file.path)}"


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, value
