"""mstore undo: take back one's own last operation."""

from __future__ import annotations

import click

from mstore.cli.context import examples, repo
from mstore.cli.output import show_plan
from mstore.cli.params import json_options


@examples("""
mstore undo --dry-run
mstore undo                # the last thing done in this workspace
mstore undo r8             # the last move of r8, if it was made here
""")
@click.command()
@click.argument("name", required=False)
@click.option("--dry-run", is_flag=True, help="Show what would be undone, and do nothing.")
@json_options()
def undo(name: str | None, dry_run: bool, as_json: bool) -> None:
    """Take back your own last move."""
    from mstore.text import escaped

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
    click.echo(f"Undone: {escaped(done.action)}")
    for ref, target in done.refs.items():
        click.echo(f"{ref} → {target.short if target is not None else '(gone)'}")
    if done.restored:
        click.echo(
            f"{len(done.restored)} files brought back: "
            + ", ".join(escaped(p) for p in done.restored[:6])
        )
