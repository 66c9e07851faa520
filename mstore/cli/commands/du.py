"""mstore du: the cost of versions and of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mstore.cli.context import examples, look_up, repo
from mstore.cli.output import page, styled
from mstore.cli.params import REVISION, json_options

if TYPE_CHECKING:
    from mstore.api.values import Revision


@examples("""
mstore du                  # the whole store
mstore du HEAD r8~1
""")
@click.command()
@click.argument("revs", nargs=-1, type=REVISION, metavar="[REV]...")
@json_options()
def du(revs: tuple[Revision, ...], as_json: bool) -> None:
    """Show the bytes of versions: shared, new, stored, as deltas."""
    found = repo().du(*map(look_up, revs))
    if as_json:
        from mstore.cli.json_output import show_json
        from mstore.render.json.maintenance import usage_document

        show_json(usage_document(found))
        return
    from mstore.render.usage import usage_lines

    page(usage_lines(found, styled))
