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
    values = opened.config()
    if key is None:
        if unset:
            raise UsageError("--unset needs a KEY")
    elif unset or value is not None:
        if unset and value is not None:
            raise UsageError("--unset takes no value")
        opened.set_config(key, None if unset else value)
    elif key not in opened.config_keys():
        known = ", ".join(opened.config_keys())
        raise UsageError(f"no such configuration key: {key!r}", hint=f"keys: {known}")
    elif key not in values:
        raise NotFound(f"{key} is not set")
    if as_json or (value is None and not unset):
        one = key if value is None and not unset else None
        _show(opened.config(), one, as_json)


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
