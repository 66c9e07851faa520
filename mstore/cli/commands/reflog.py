"""mstore reflog: the recorded moves of a branch or tag."""

from __future__ import annotations

import click

from mstore.cli.context import examples, repo
from mstore.cli.output import page, styled
from mstore.cli.params import json_options


@examples("""
mstore reflog
mstore reflog r8
""")
@click.command()
@click.argument("name", required=False)
@json_options()
def reflog(name: str | None, as_json: bool) -> None:
    """List the moves of a branch or tag; NAME@{n} names its former commits."""
    opened = repo()
    records = opened.reflog(name)
    if as_json:
        from mstore.cli.json_output import show_json_list
        from mstore.render.json.documents import move_document

        show_json_list("moves", map(move_document, records))
        return
    from mstore.render.names import reflog_lines

    head = opened.head
    label = name if name not in (None, "HEAD", "@") else (head.branch if head else None) or "HEAD"
    page(reflog_lines(records, label, styled))
