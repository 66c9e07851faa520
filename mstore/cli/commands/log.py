"""mstore log: versions, the latest first."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

import click

from mstore.cli.context import examples, look_up, repo
from mstore.cli.output import page, styled
from mstore.cli.params import REVISION, json_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.api.values import Log, LogEntry, Revision


@examples("""
mstore log
mstore log --graph --all
mstore log r8 -n 5 --columns id,message,eval_loss,lr
mstore log --all --where 'eval_loss < 1.5 and r <= 8' --sort eval_loss -n 3
mstore log --json | jq '.versions[].metrics'
""")
@click.command()
@click.argument("rev", required=False, type=REVISION)
@click.option("-n", "count", type=click.IntRange(min=0), metavar="N", help="Show at most N versions.")
@click.option("--oneline", is_flag=True, help="Show only id, names and message.")
@click.option("--graph", is_flag=True, help="Draw how versions descend.")
@click.option("--all", "everything", is_flag=True, help="Show all branches and tags.")
@click.option("--columns", metavar="A,B,…", help="Show these columns, metrics or metadata keys.")
@click.option(
    "--where", metavar="EXPR", help="Show only versions for which EXPR is true, such as 'r <= 8'."
)
@click.option("--sort", metavar="KEY", help="Sort by KEY, the smallest first; -KEY: the largest first.")
@json_options()
def log(
    rev: Revision | None,
    count: int | None,
    oneline: bool,
    graph: bool,
    everything: bool,
    columns: str | None,
    where: str | None,
    sort: str | None,
    as_json: bool,
) -> None:
    """List versions, the latest first, with their facts and metrics.

    Built-in columns: id, refs, age, message, r/alpha, epoch, step, r, alpha, added,
    size, tensors, author, time. --where compares columns, metrics and metadata (dots go
    inside; a name with a slash in double quotes, a text in single ones) with < <= > >= == != in
    contains, and joins with and, or, not. A name without a value makes its comparison false.
    """
    tip = look_up(rev) if rev is not None else None
    if graph and (where is not None or sort is not None):
        raise click.UsageError("--graph draws all versions in order; it goes with no --where or --sort")
    found = repo().versions(tip, all=everything, where=where, sort=sort)
    entries: Iterator[LogEntry] = islice(found.entries, count)
    if as_json:
        from mstore.cli.json_output import show_json_list
        from mstore.render.json.documents import version_document

        show_json_list("versions", map(version_document, entries))
        return
    first = next(entries, None)
    if first is None and where is not None:
        click.echo("no matching versions", err=True)
        return
    if first is None and count != 0:
        click.echo("no versions yet: `mstore commit DIR -m MESSAGE` makes the first", err=True)
        return
    entries = chain([first], entries) if first is not None else entries
    lines = _lines(entries, oneline=oneline, graph=graph, columns=columns)
    page(chain(lines, _others(found, everything) if rev is None else ()))


def _lines(
    entries: Iterator[LogEntry], *, oneline: bool, graph: bool, columns: str | None
) -> Iterator[str]:
    from mstore.render.log_columns import DEFAULT_COLUMNS

    if graph:
        from mstore.render.graph import graph_lines

        return graph_lines(entries, styled, brief=oneline)
    if oneline:
        from mstore.render.log import one_line

        return (one_line(entry, styled) for entry in entries)
    from mstore.cli.log_text import listing

    chosen = tuple(c.strip() for c in columns.split(",") if c.strip()) if columns else None
    return listing(entries, chosen or DEFAULT_COLUMNS, chosen=chosen is not None)


def _others(found: Log, everything: bool) -> Iterator[str]:
    """Yield a line about commits that were not listed."""
    if found.unborn is not None:
        yield styled(f"(branch {found.unborn} has no commit yet; these are all branches)", "dim")
    elif not everything:
        more = repo().count_elsewhere(found.tips)
        if more:
            from mstore.text import counted

            commits = counted(more, "commit")
            yield styled(f"({commits} on other branches: --all)", "dim")
