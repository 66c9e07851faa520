"""The options that branch and tag share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from mstore.cli.params import REVISION

if TYPE_CHECKING:
    from mstore.objects import CommitId

_F = TypeVar("_F", bound=Callable[..., Any])


def check_name(name: str | None, rev: object, *, delete: bool, rename: str | None, force: bool) -> None:
    """Refuse options that say what to do without saying to what, or two things at once."""
    if name is None and (delete or rename is not None or force):
        raise click.UsageError("NAME is missing")
    if delete and (rename is not None or force):
        raise click.UsageError("--delete goes with no other option")
    if rev is not None and (delete or rename is not None):
        option = "--delete" if delete else "--rename"
        raise click.UsageError(f"{option} takes one NAME and no REV; run it once for each name")


def name_command(kind: str) -> Callable[[_F], _F]:
    """Add the options that branch and tag share."""

    def apply(function: _F) -> _F:
        for option in reversed(
            (
                click.argument("name", required=False),
                click.argument("rev", required=False, type=REVISION),
                click.option("-d", "--delete", "delete", is_flag=True, help=f"Delete {kind} NAME."),
                click.option("--rename", metavar="NEW", help=f"Give {kind} NAME another name."),
                click.option("-f", "--force", is_flag=True, help="Move it if it exists."),
            )
        ):
            function = option(function)
        return function

    return apply


@dataclass(frozen=True)
class NameChange:
    """A change to a branch or a tag.

    Args:
        kind: branch or tag.
        action: the change.
        name: its name now, or the one that it had.
        old_name: its name before, where it has another one now.
        id: the commit that it names, or named.
    """

    kind: Literal["branch", "tag"]
    action: Literal["made", "renamed", "deleted"]
    name: str
    old_name: str | None
    id: CommitId

    def show(self, as_json: bool) -> None:
        """Print it on stdout."""
        if as_json:
            from mstore.cli.json_output import show_json
            from mstore.render.json.documents import name_document

            show_json(name_document(self.kind, self.action, self.name, self.old_name, self.id))
        elif self.action == "deleted":
            was = f"(was {self.id.short})"
            click.echo(f"Deleted {self.kind} {self.name} {was}; `mstore undo` restores it")
        elif self.action == "renamed":
            click.echo(f"{self.old_name} is now {self.name}")
        else:
            click.echo(f"{self.name} → {self.id.short}")
