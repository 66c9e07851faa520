"""mstore init: make a workspace, and a store where there is none."""

from __future__ import annotations

import click

from mstore.cli.context import examples, settings
from mstore.cli.output import warn
from mstore.cli.params import json_options


@examples("""
mstore init
mstore init --model-dir out
mstore init --store /team/models.mstore --shared
""")
@click.command()
@click.option(
    "--store", "store", metavar="DIR", help="Use a store elsewhere (a team's disk); made if absent."
)
@click.option("--shared", is_flag=True, help="Make a new store's files group-writable.")
@click.option(
    "--model-dir", metavar="DIR", help="Set the folder that a bare commit takes and checkout writes."
)
@click.option("--force", is_flag=True, help="Allow a folder that looks like a model directory.")
@json_options()
def init(store: str | None, shared: bool, model_dir: str | None, force: bool, as_json: bool) -> None:
    """Make a workspace here, and a store in it."""
    from mstore.api import discovery

    if settings().store or settings().workspace:
        raise click.UsageError(
            "init makes things in the current folder; `init --store DIR` comes after the word"
        )
    made = discovery.init(store=store, shared=shared, model_dir=model_dir, force=force)
    workspace = made.workspace
    assert workspace is not None
    kind, warnings = made.network_disk, []
    if kind is not None:
        warnings.append(
            f"{made.location} lies on a network file system ({kind}): a commit is as durable as the"
            " server's writes, and gc and repack must run when nothing else uses the store"
        )
    if as_json:
        from mstore.cli.json_output import show_json
        from mstore.render.json.documents import init_document

        show_json(init_document(workspace, warnings))
        return
    click.echo(f"Made {workspace.path}")
    if store is not None:
        click.echo(f"with its store at {made.location}")
    for warning in warnings:
        warn(warning)
    click.echo("Next: mstore commit DIR -m MESSAGE   (DIR: from save_model or save_pretrained)")
