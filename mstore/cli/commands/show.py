"""mstore show: one version in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mstore.cli.context import examples, look_up, repo
from mstore.cli.output import page, styled
from mstore.cli.params import REVISION, json_options

if TYPE_CHECKING:
    from mstore.api.values import Revision


@examples("""
mstore show
mstore show r8~1 --json
""")
@click.command()
@click.argument("rev", default="HEAD", type=REVISION)
@json_options()
def show(rev: Revision, as_json: bool) -> None:
    """Show one version in full: message, metadata, metrics, files, notes."""
    found = repo().show(look_up(rev))
    if as_json:
        from mstore.cli.json_output import show_json
        from mstore.render.json.documents import show_document

        show_json(show_document(found))
        return
    from mstore.render.show import show_lines

    page(show_lines(found, styled))
