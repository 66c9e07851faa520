"""mstore undo: take back one's own last operation."""

from __future__ import annotations

import click

from mstore.cli.context import examples, repo


@examples("""
mstore undo                # the last thing done in this workspace
mstore undo r8             # the last move of r8, if it was made here
""")
@click.command()
@click.argument("name", required=False)
def undo(name: str | None) -> None:
    """Take back your own last move."""
    from mstore.text import escaped

    done = repo().undo(name)
    click.echo(f"Undone: {escaped(done.action)}")
    for ref, target in done.refs.items():
        click.echo(f"{ref} → {target.short if target is not None else '(gone)'}")
    if done.restored:
        click.echo(
            f"{len(done.restored)} files brought back: "
            + ", ".join(escaped(p) for p in done.restored[:6])
        )
