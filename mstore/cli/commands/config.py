"""mstore config: read and write configuration."""

from __future__ import annotations

import click

from mstore.cli.context import examples, repo
from mstore.cli.output import show_json


@examples("""
mstore config
mstore config author "Ada <ada@example.org>"
mstore config model-dir out
mstore config --unset author
""")
@click.command()
@click.argument("key", required=False)
@click.argument("value", required=False)
@click.option("--unset", is_flag=True, help="Remove KEY.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def config(key: str | None, value: str | None, unset: bool, as_json: bool) -> None:
    """Show or set what this workspace is configured to: author, model-dir."""
    from mstore.errors import NotFound, UsageError
    from mstore.text import escaped
    from mstore.workspace import CONFIG_KEYS

    workspace = repo().context.need_workspace("config")
    if key is None:
        if unset:
            raise UsageError("--unset needs a KEY")
        values = workspace.config()
        if as_json:
            show_json(values)
            return
        for name, what in CONFIG_KEYS.items():
            click.echo(f"{name} = {escaped(values[name])}" if name in values else f"# {name}: {what}")
        return
    if unset or value is not None:
        if unset and value is not None:
            raise UsageError("--unset takes no value")
        workspace.set_config(key, None if unset else value)
        return
    if key not in CONFIG_KEYS:
        raise UsageError(f"no such configuration: {key!r}", hint="known: " + ", ".join(CONFIG_KEYS))
    values = workspace.config()
    if key not in values:
        raise NotFound(f"{key} is not set")
    if as_json:
        show_json(values[key])
    else:
        click.echo(escaped(values[key]))
