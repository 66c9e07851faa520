"""mstore repack: re-encode objects and merge packs."""

from __future__ import annotations

import click

from mstore.cli.context import examples, repo
from mstore.cli.output import echo_lines, progress, show_plan, styled
from mstore.cli.params import json_options


@examples("""
mstore repack
mstore repack --dry-run
""")
@click.command()
@click.option("--dry-run", is_flag=True, help="Show the plan, change nothing.")
@json_options()
def repack(dry_run: bool, as_json: bool) -> None:
    """Re-encode objects with better delta bases, and merge small packs.

    New packs are read back and checked before old ones go. It may be interrupted.
    """
    if dry_run:
        plan = repo().plan_repack()
        show_plan(plan, as_json)
        return
    with progress() as report:
        done = repo().repack(progress=report)
    if as_json:
        from mstore.cli.json_output import show_json
        from mstore.render.json.maintenance import repack_document

        show_json(repack_document(done))
        return
    from mstore.render.maintenance import repack_lines

    echo_lines(repack_lines(done, styled))
