"""mstore init: make a workspace, and a store where there is none."""

from __future__ import annotations

import click

from mstore.cli.context import examples, settings
from mstore.cli.output import warn


@examples("""
mstore init
mstore init --model-dir out
mstore init --store /team/models.mstore --shared
""")
@click.command()
@click.option(
    "--store", "store", metavar="DIR", help="A store elsewhere (a team's disk); made if absent."
)
@click.option("--shared", is_flag=True, help="A new store's files are group-writable.")
@click.option(
    "--model-dir", metavar="DIR", help="The folder that a bare commit takes and checkout writes."
)
@click.option("--force", is_flag=True, help="Even in a folder that looks like a model directory.")
def init(store: str | None, shared: bool, model_dir: str | None, force: bool) -> None:
    """Make a workspace here, and a store in it."""
    from mstore.api import discovery
    from mstore.fs.mounts import network_type

    if settings().store or settings().workspace:
        raise click.UsageError(
            "init makes things in the current folder; `init --store DIR` comes after the word"
        )
    made = discovery.init(store=store, shared=shared, model_dir=model_dir, force=force)
    workspace = made.workspace
    assert workspace is not None
    click.echo(f"Made {workspace.path}")
    if store is not None:
        click.echo(f"with its store at {made.store.location}")
    kind = next(filter(None, map(network_type, made.store.folders)), None)
    if kind is not None:
        warn(
            f"{made.store.location} lies on a network file system ({kind}): a commit survives what the"
            " server keeps, and gc and repack must run when nothing else uses the store"
        )
    click.echo("Next: mstore commit DIR -m MESSAGE   (DIR: what save_model or save_pretrained wrote)")
