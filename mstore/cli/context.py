"""What every command shares: the repository that the options name, revisions, examples.

Command modules import nothing but click at their top, so that `--help` and
`log` start as fast as click itself.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from mstore.api.repository import Repository


_LIKE_AN_ID = re.compile(r"[0-9a-f]{4,64}(?![0-9a-z])")


@dataclass(frozen=True)
class Settings:
    """The options before the command, and the environment."""

    store: str | None
    workspace: str | None
    author: str | None

    def open(self) -> Repository:
        """The repository: --workspace, --store, the environment, else upward from here.

        Raises:
            NoStore: there is none.
        """
        from mstore.api import repository

        store, workspace = self.store, self.workspace
        if store is None and workspace is None:
            workspace = os.environ.get("MSTORE_WORKSPACE") or None
            if workspace is None:
                store = os.environ.get("MSTORE_STORE") or None
        cache = os.environ.get("XDG_CACHE_HOME")
        return repository.open(
            store=store,
            workspace=workspace,
            author=self.author,
            cache=os.path.join(cache, "mstore") if cache else None,
        )


def settings() -> Settings:
    """The settings of the running command."""
    found = click.get_current_context().find_object(Settings)
    return found if found is not None else Settings(None, None, None)


def repo(*revisions: str | None) -> Repository:
    """The repository of the running command, closed when it ends.

    A revision that is both a name and the beginning of an id is warned of here,
    so that every command does.
    """
    context = click.get_current_context()
    opened = settings().open()
    context.call_on_close(opened.close)
    for revision in revisions:
        if revision is not None and _LIKE_AN_ID.match(revision):
            _warn_of(opened, revision)
    return opened


def _warn_of(opened: Repository, revision: str) -> None:
    from mstore.cli.output import warn
    from mstore.errors import MStoreError
    from mstore.history.query.resolve import resolve

    try:
        warning = resolve(opened.context, revision).warning
    except MStoreError:
        return  # The command itself says what is wrong.
    if warning is not None:
        warn(warning)


class Revision(click.ParamType[str]):
    """A revision; completes branches and tags."""

    name = "rev"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        from click.shell_completion import CompletionItem

        try:
            refs = Settings(None, None, None).open().store.refs
            names = [*refs.names("heads"), *refs.names("tags")]
        except Exception:
            # A completion that fails must not write into the user's prompt.
            return []
        return [CompletionItem(n) for n in names if n.startswith(incomplete)]


REVISION = Revision()


def examples(text: str) -> Callable[[click.Command], click.Command]:
    """End a command's help in examples."""

    def apply(command: click.Command) -> click.Command:
        body = "\n".join("  " + line for line in text.strip("\n").splitlines())
        command.epilog = f"\b\nExamples:\n{body}"
        return command

    return apply
