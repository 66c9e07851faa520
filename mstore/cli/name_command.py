"""The options that branch and tag share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from mstore.cli.params import REVISION

_F = TypeVar("_F", bound=Callable[..., Any])


def check_name(name: str | None, delete: bool, rename: str | None, force: bool) -> None:
    """Refuse options that say what to do without saying to what, or two things at once."""
    if name is None and (delete or rename is not None or force):
        raise click.UsageError("NAME is missing")
    if delete and (rename is not None or force):
        raise click.UsageError("--delete goes with no other option")


def name_command(kind: str) -> Callable[[_F], _F]:
    """Options that branch and tag share."""

    def apply(function: _F) -> _F:
        for option in reversed(
            (
                click.argument("name", required=False),
                click.argument("rev", required=False, type=REVISION),
                click.option("-d", "--delete", "delete", is_flag=True, help=f"Delete {kind} NAME."),
                click.option("--rename", metavar="NEW", help=f"Give {kind} NAME another name."),
                click.option("-f", "--force", is_flag=True, help="Move it if it exists."),
                click.option("--json", "as_json", is_flag=True, help="As JSON."),
            )
        ):
            function = option(function)
        return function

    return apply
