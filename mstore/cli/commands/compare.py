"""mstore compare: versions side by side."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from mstore.cli.context import examples, look_up, repo
from mstore.cli.output import echo_lines, page, styled
from mstore.cli.params import REVISION, json_options

if TYPE_CHECKING:
    from mstore.api.values import Revision


@examples("""
mstore compare r4 r8
mstore compare main~2 main best:eval_loss --md
""")
@click.command()
@click.argument("revs", nargs=-1, required=True, type=REVISION)
@click.option("--all", "everything", is_flag=True, help="Compare run ids, paths and hosts too.")
@json_options()
@click.option("--md", "as_md", is_flag=True, help="Print a table in Markdown.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def compare(
    revs: tuple[Revision, ...], everything: bool, as_json: bool, as_md: bool, as_csv: bool
) -> None:
    """Compare versions: hyper-parameters, facts of the model, metrics.

    One column a version; rows equal in all of them are left out and counted.
    """
    import csv

    if as_json + as_md + as_csv > 1:
        raise click.UsageError("--json, --md and --csv exclude each other")
    found = repo().compare(*map(look_up, revs), everything=everything)
    if as_json:
        from mstore.cli.json_output import show_json
        from mstore.render.json.documents import comparison_document

        show_json(comparison_document(found))
        return
    if as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows(found.table())
        return
    from mstore.render.comparison import WIDEST, comparison_lines, markdown_lines

    if as_md:
        echo_lines(markdown_lines(found))
    else:
        page(comparison_lines(found, styled, widest=WIDEST))
