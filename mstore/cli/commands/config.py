"""mstore config: read and write configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mstore.cli.context import examples, repo
from mstore.cli.params import json_options

if TYPE_CHECKING:
    from collections.abc import Mapping


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
@json_options()
def config(key: str | None, value: str | None, unset: bool, as_json: bool) -> None:
    """Show or set the configuration: author, model-dir, keep-training-state."""
    from mstore.errors import NotFound, UsageError

    opened = repo()
    if unset and key is None:
        raise UsageError("--unset needs a KEY")
    if unset and value is not None:
        raise UsageError("--unset takes no value")
    changes = unset or value is not None
    if key is not None and changes:
        opened.set_config(key, value)
    elif key is not None and opened.config_value(key) is None:
        raise NotFound(f"{key} is not set")
    if as_json or not changes:
        _show(opened.config(), None if changes else key, as_json)


def _show(values: Mapping[str, str], key: str | None, as_json: bool) -> None:
    """Show the value of a key, or of all."""
    from mstore.text import escaped

    if as_json:
        from mstore.cli.json_output import show_json

        show_json({"values": values if key is None else {key: values[key]}})
    elif key is not None:
        click.echo(escaped(values[key]))
    else:
        for name, what in repo().config_keys().items():
            click.echo(f"{name} = {escaped(values[name])}" if name in values else f"# {name}: {what}")
