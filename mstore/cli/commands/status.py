"""mstore status: the current branch, and what changed."""

from __future__ import annotations

import click

from mstore.cli.context import examples, repo
from mstore.cli.output import echo_lines, styled
from mstore.cli.params import json_options


@examples("""
mstore status
""")
@click.command()
@json_options()
def status(as_json: bool) -> None:
    """Show the current branch, what changed, and what to run next."""
    found = repo().status()
    if as_json:
        from mstore.cli.json_output import show_json
        from mstore.render.json.documents import status_document

        show_json(status_document(found, found.staged))
        return
    from mstore.render.status import status_lines

    echo_lines(status_lines(found, styled, staged=found.staged))
