"""log, show, ls, cat, diff, du: looking at versions."""

from __future__ import annotations

import sys
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import click

from mstore.cli.app import REVISION, examples, repo
from mstore.cli.output import complain, page, progress, show_json, show_json_list, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.compare.diff import DiffResult
    from mstore.context import Place
    from mstore.history.entry import LogEntry
    from mstore.history.show import Shown
    from mstore.maintain.du import Usage


@examples("""
mstore log
mstore log --graph --all
mstore log r8 -n 5 --columns id,message,eval_loss,lr
mstore log --all --where 'eval_loss < 1.5 and r <= 8' --sort eval_loss -n 3
mstore log --json | jq '.[].metrics'
""")
@click.command()
@click.argument("rev", required=False, type=REVISION)
@click.option("-n", "count", type=click.IntRange(min=0), metavar="N", help="The latest N only.")
@click.option("--oneline", is_flag=True, help="Id, names and message.")
@click.option("--graph", is_flag=True, help="Draw how versions descend.")
@click.option("--all", "everything", is_flag=True, help="All branches and tags.")
@click.option("--columns", metavar="A,B,…", help="Columns: built-in ones, metrics, metadata keys.")
@click.option("--where", metavar="EXPR", help="Only those of which this holds, such as 'r <= 8'.")
@click.option("--sort", metavar="KEY", help="By this column, the smallest first; -KEY: the largest.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def log(
    rev: str | None,
    count: int | None,
    oneline: bool,
    graph: bool,
    everything: bool,
    columns: str | None,
    where: str | None,
    sort: str | None,
    as_json: bool,
) -> None:
    """Versions, the latest first, with what is known of each.

    Built-in columns: id, refs, age, message, r/alpha, epoch, step, r, alpha, added,
    size, tensors, author, time. --where compares columns, metrics and metadata (dots go
    inside; a name with a slash in double quotes, a text in single ones) with < <= > >= == != in
    contains, and joins with and, or, not. A name without a value makes its comparison false.
    """
    from mstore.history.log import elsewhere, sought
    from mstore.history.log import log as read_log
    from mstore.render import log as logtext
    from mstore.render.cells import DEFAULT_COLUMNS

    opened = repo(rev)
    place = opened.place
    found = read_log(place, rev, everything=everything)
    if graph and (where is not None or sort is not None):
        raise click.UsageError("--graph draws all versions in order; it goes with no --where or --sort")
    entries: Iterator[LogEntry] = islice(sought(found.entries, where, sort), count)
    if as_json:
        show_json_list(entry.plain() for entry in entries)
        return
    first = next(entries, None)
    if first is None and where is not None:
        click.echo("no version of which that holds", err=True)
        return
    if first is None and count != 0:
        click.echo("no versions yet: `mstore commit DIR -m MESSAGE` makes the first", err=True)
        return
    entries = chain([first], entries) if first is not None else entries
    if graph:
        lines = logtext.graph(entries, brief=oneline)
    elif oneline:
        lines = (logtext.one_line(e) for e in entries)
    else:
        chosen = tuple(c.strip() for c in columns.split(",") if c.strip()) if columns else None
        lines = logtext.listing(entries, chosen or DEFAULT_COLUMNS, chosen=chosen is not None)

    def all_lines() -> Iterator[str]:
        yield from lines
        if found.unborn is not None and rev is None:
            yield click.style(
                f"(branch {found.unborn} has no commit yet; these are all branches)", dim=True
            )
        elif rev is None and not everything:
            more = elsewhere(place, found.tips)
            if more:
                noun = "commit" if more == 1 else "commits"
                yield click.style(f"({more} {noun} on other branches: --all)", dim=True)

    page(all_lines())


@examples("""
mstore compare r4 r8
mstore compare main~2 main best:eval_loss --md
""")
@click.command()
@click.argument("revs", nargs=-1, required=True, type=REVISION)
@click.option("--all", "everything", is_flag=True, help="Run ids, paths and hosts too.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--md", "as_md", is_flag=True, help="As a table in Markdown.")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV.")
def compare(revs: tuple[str, ...], everything: bool, as_json: bool, as_md: bool, as_csv: bool) -> None:
    """What differs between versions: hyper-parameters, facts of the model, metrics.

    One column a version; what all of them share is left out and counted.
    """
    import csv
    import sys

    from mstore.text import jsonable

    if as_json + as_md + as_csv > 1:
        raise click.UsageError("--json, --md and --csv exclude each other")
    found = repo(*revs).compare(*revs, everything=everything)
    if as_json:
        show_json(
            {
                "versions": [e.id.hex for e in found.entries],
                "rows": {name: jsonable(list(values)) for name, values in found.rows},
                "equal": found.equal,
                "left_out": found.left_out,
            }
        )
        return
    table = found.table()
    if as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows(table)
        return
    if as_md:
        cells = [[text.replace("|", "\\|") for text in row] for row in table]
        rule = ["---"] * len(cells[0])
        for row in (cells[0], rule, *cells[1:]):
            click.echo("| " + " | ".join(row) + " |")
        return
    widths = [min(40, max(len(row[i]) for row in table)) for i in range(len(table[0]))]

    def lines() -> Iterator[str]:
        for number, row in enumerate(table):
            cut = [t if len(t) <= w else t[: w - 1] + "…" for t, w in zip(row, widths, strict=True)]
            line = "  ".join(t.ljust(w) for t, w in zip(cut, widths, strict=True)).rstrip()
            yield click.style(line, bold=True) if number == 0 else line
        more = f"; {found.left_out} run ids, paths and hosts differ: --all" if found.left_out else ""
        yield click.style(f"({found.equal} are equal{more})", dim=True)

    page(lines())


@examples("""
mstore show
mstore show r8~1 --json
""")
@click.command()
@click.argument("rev", default="HEAD", type=REVISION)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(rev: str, as_json: bool) -> None:
    """One version in full: message, metadata, metrics, files, notes."""
    opened = repo(rev)
    found = opened.show(rev)
    if as_json:
        from mstore.history.show import plain_file

        plain = found.entry.plain()
        plain["files"] = [plain_file(f) for f in found.manifest.files]
        plain["notes"] = [
            {"id": n.id.hex, "time": n.time.iso(), "author": n.author, **n.payload} for n in found.notes
        ]
        show_json(plain)
        return
    page(_show_lines(found))


def _show_lines(found: Shown) -> Iterator[str]:
    from mstore.render.cells import names_text
    from mstore.render.log import any_text
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


@examples("""
mstore ls r8
mstore ls HEAD --tensors
""")
@click.command()
@click.argument("rev", default="HEAD", type=REVISION)
@click.option("--tensors", is_flag=True, help="Every tensor with dtype and shape.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def ls(rev: str, tensors: bool, as_json: bool) -> None:
    """Files of a version, or its tensors."""
    from mstore.history.show import plain_file
    from mstore.text import escaped, size

    opened = repo(rev)
    if tensors:
        found = opened.tensors(rev)
        if as_json:
            show_json(
                [
                    {
                        "path": t.path,
                        "name": t.name,
                        "dtype": t.dtype,
                        "shape": list(t.shape),
                        "size_bytes": t.size_bytes,
                    }
                    for t in found
                ]
            )
            return
        page(
            f"{escaped(t.path)}  {escaped(t.name)}  {escaped(t.dtype)}"
            f"  {list(t.shape)}  {size(t.size_bytes)}"
            for t in found
        )
        return
    files = opened.manifest(rev).files
    if as_json:
        show_json([plain_file(f) for f in files])
        return
    page(f"{size(f.size_bytes):>8}  {f.role:14}  {escaped(f.path)}" for f in files)


@examples("""
mstore cat r8 adapter_config.json
mstore cat HEAD~1 model.safetensors > old.safetensors
""")
@click.command()
@click.argument("rev", type=REVISION)
@click.argument("path")
def cat(rev: str, path: str) -> None:
    """The bytes of one file of a version, to stdout."""
    parts = repo(rev).cat(rev, path)
    out = sys.stdout.buffer
    for part in parts:
        out.write(part)
    out.flush()


def _looks_like_folder(text: str) -> bool:
    return text in (".", "..") or text.startswith(("./", "../", "/", "~")) or text.endswith("/")


def _sides(a: str | None, b: str | None) -> tuple[Place | None, Any, Any]:
    """What to compare: (place or None where two folders need none, a, b)."""
    import os
    from pathlib import Path

    from mstore.errors import NoStore

    def folder(text: str | None) -> Path | None:
        return Path(text).expanduser() if text is not None and _looks_like_folder(text) else None

    one, other = folder(a), folder(b)
    try:
        place: Place | None = repo(a, b).place
    except NoStore:
        # Two folders need no store: the plainest question has the plainest answer.
        if a is None or b is None or not (os.path.isdir(a) and os.path.isdir(b)):
            raise
        return None, Path(a), Path(b)
    assert place is not None
    return (
        place,
        one or _revision_or_folder(place, a or "HEAD"),
        other or (_revision_or_folder(place, b) if b is not None else None),
    )


def _revision_or_folder(place: Place, text: str) -> Any:
    """A revision; a folder where no revision has this name and a folder does."""
    import os
    from pathlib import Path

    from mstore.errors import RevisionNotFound
    from mstore.history.query.resolve import resolve

    if os.path.isdir(text):
        try:
            resolve(place, text)
        except RevisionNotFound:
            return Path(text)
    return text


@examples("""
mstore diff r4 r8                  # two versions
mstore diff ./run-a ./run-b        # two folders; no store is needed
mstore diff                        # HEAD against the model directory
mstore diff HEAD~1 HEAD --stat
""")
@click.command()
@click.argument("a", required=False, type=REVISION)
@click.argument("b", required=False, type=REVISION)
@click.option("--stat", is_flag=True, help="How much each tensor changed: share, norm, cosine.")
@click.option("--exit-code", is_flag=True, help="Exit 1 where files differ, 0 where they do not.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def diff(a: str | None, b: str | None, stat: bool, exit_code: bool, as_json: bool) -> int:
    """What differs: LoRA ranks and shapes, configuration, metrics, tensors, files.

    A and B are versions or folders (with a `/` in them). Without B: the model
    directory; without A: HEAD.
    """
    from mstore.render.diff import diff_lines

    try:
        result = _compared(a, b, stat)
    except Exception as error:
        if exit_code and getattr(error, "exit_code", 1) == 1:
            # As in diff(1): 1 says that files differ, and nothing else may.
            complain(str(error), getattr(error, "hint", None))
            return 2
        raise
    for warning in result.warnings:
        warn(warning)
    if as_json:
        show_json(result.plain())
    else:
        page(
            diff_lines(result, width=_width(), style=lambda text, colour: click.style(text, fg=colour))
        )
    return 1 if exit_code and not result.same else 0


def _compared(a: str | None, b: str | None, stat: bool) -> DiffResult:
    from mstore.compare.diff import diff as compare
    from mstore.compare.diff import side_of

    place, one, other = _sides(a, b)
    with progress() as told:
        return compare(side_of(place, one), side_of(place, other), stat=stat, progress=told)


@examples("""
mstore du                  # the whole store
mstore du HEAD r8~1
""")
@click.command()
@click.argument("revs", nargs=-1, type=REVISION, metavar="[REV]...")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def du(revs: tuple[str, ...], as_json: bool) -> None:
    """Why versions cost what they cost: bytes shared, new, stored, as deltas."""
    found = repo(*revs).du(*revs)
    if as_json:
        from dataclasses import asdict

        plain = asdict(found)
        plain["commits"] = [{**asdict(c), "id": c.id.hex} for c in found.commits]
        show_json(plain)
        return
    page(_du_lines(found))


def _du_lines(found: Usage) -> Iterator[str]:
    from mstore.text import escaped, size

    for commit in found.commits:
        yield click.style(commit.id.short, fg="yellow") + " " + escaped(commit.message)
        rows = [*commit.groups[:30], commit.total]
        yield f"  {'raw':>9}  {'shared':>9}  {'new':>9}  {'stored':>9}  {'as delta':>9}  group"
        for row in rows:
            counts = (row.raw_bytes, row.shared_bytes, row.new_bytes, row.stored_bytes, row.delta_bytes)
            yield "  " + "  ".join(f"{size(n):>9}" for n in counts) + "  " + escaped(row.name)
        if len(commit.groups) > 30:
            yield f"  ({len(commit.groups) - 30} smaller groups are not shown)"
        freed = f"without this version, {size(commit.freed_bytes)} would be free"
        if commit.leant_on_bytes:
            freed += (
                f"; {size(commit.leant_on_bytes)} more only once the deltas that lean on it are recoded"
            )
        yield "  " + freed
        yield ""
    share = f", {found.pack_bytes / found.raw_bytes:.0%} of that" if found.raw_bytes else ""
    yield (
        f"{found.versions} versions, {size(found.raw_bytes)} as folders;"
        f" packs {size(found.pack_bytes)}{share}"
    )


def _width() -> int:
    import shutil

    # A program that reads along wants whole names.
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 1000


COMMANDS = (log, compare, show, ls, cat, diff, du)
