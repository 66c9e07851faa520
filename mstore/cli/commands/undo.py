"""mstore undo: undo one's own last operation."""

from __future__ import annotations

import click

from mstore.cli.context import examples, repo
from mstore.cli.output import echo_lines, show_plan, styled
from mstore.cli.params import json_options


@examples("""
mstore undo --dry-run
mstore undo                # the last thing done in this workspace
mstore undo r8             # the last move of r8, if it was made here
""")
@click.command()
@click.argument("name", required=False)
@click.option("--dry-run", is_flag=True, help="Show the plan, change nothing.")
@json_options()
def undo(name: str | None, dry_run: bool, as_json: bool) -> None:
    """Undo your own last operation."""
    plan = repo().plan_undo(name)
    if dry_run:
        show_plan(plan, as_json)
        return
    done = repo().run_undo(plan)
    if as_json:
        from mstore.cli.json_output import show_json
        from mstore.render.json.documents import undo_document

        show_json(undo_document(plan, done))
        return
    from mstore.render.checkout import undo_lines

    echo_lines(undo_lines(done, styled))
