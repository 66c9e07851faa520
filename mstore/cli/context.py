"""The context of every command: the repository that the options name, its versions, examples.

Command modules import nothing but click at their top, so that `--help` and
`log` start as fast as click itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from mstore.api.repository import Repository
    from mstore.api.values import Resolved, Revision


_REPOSITORY = "mstore.cli.context.repository"


class Settings:
    """The options before the command, and the environment. (A dataclass takes 2 ms of `--help`.)"""

    def __init__(self, store: str | None, workspace: str | None, author: str | None) -> None:
        self.store = store
        self.workspace = workspace
        self.author = author

    def open(self) -> Repository:
        """Open the repository: --workspace, --store, the environment, else upward from here.

        Raises:
            NoStore: there is none.
        """
        from mstore.api import discovery

        store, workspace = self.store, self.workspace
        if store is None and workspace is None:
            workspace = os.environ.get("MSTORE_WORKSPACE") or None
            if workspace is None:
                store = os.environ.get("MSTORE_STORE") or None
        cache = os.environ.get("XDG_CACHE_HOME")
        return discovery.open(
            store=store,
            workspace=workspace,
            author=self.author,
            cache=os.path.join(cache, "mstore") if cache else None,
        )


def settings() -> Settings:
    """Give the settings of the running command."""
    found = click.get_current_context().find_object(Settings)
    return found if found is not None else Settings(None, None, None)


def repo() -> Repository:
    """Give the repository of the running command: opened when first asked for, closed at its end."""
    context = click.get_current_context()
    opened: Repository | None = context.meta.get(_REPOSITORY)
    if opened is None:
        opened = context.meta[_REPOSITORY] = settings().open()
        context.call_on_close(opened.close)
    return opened


def look_up(revision: Revision | None) -> Resolved:
    """Look up a revision that the running command was given (None: HEAD), and show its warning.

    A command does this once for each, and passes on what comes of it: nothing below looks
    it up again, or repeats the warning.

    Raises:
        RevisionNotFound, Ambiguous, UsageError, NotFound, InvalidInput.
    """
    found = repo().look_up(revision if revision is not None else "HEAD")
    if found.warning is None:
        return found
    from dataclasses import replace

    from mstore.cli.output import warn

    warn(found.warning)
    return replace(found, warning=None)


def examples(text: str) -> Callable[[click.Command], click.Command]:
    """End a command's help in examples."""

    def apply(command: click.Command) -> click.Command:
        body = "\n".join("  " + line for line in text.strip("\n").splitlines())
        command.epilog = f"\b\nExamples:\n{body}"
        return command

    return apply
