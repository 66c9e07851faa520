"""The root command; a command is a module of its name, imported when it is asked for."""

from __future__ import annotations

import os
from collections import UserDict
from importlib import import_module
from typing import Any, Final

import click

from mstore import __version__
from mstore.cli.context import Settings

COMMANDS: Final = (
    "branch",
    "cat",
    "checkout",
    "commit",
    "compare",
    "completion",
    "config",
    "diff",
    "du",
    "forget",
    "fsck",
    "gc",
    "import",
    "init",
    "log",
    "ls",
    "note",
    "reflog",
    "repack",
    "resume",
    "show",
    "status",
    "tag",
    "undo",
)


class CommandModules(UserDict[str, Any]):
    """Commands by name; the module of one is imported when it is looked up.

    `log` needs one of them; importing all costs each start 3 to 4 ms.
    """

    def __getitem__(self, name: str) -> click.Command:
        if name not in self.data:
            raise KeyError(name)
        module = "import_" if name == "import" else name
        command: click.Command = getattr(import_module(f"mstore.cli.commands.{module}"), module)
        return command


def _show_version(context: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from mstore.api.process import kernel_name

        click.echo(f"mstore, version {__version__} ({kernel_name()} kernel)")
        context.exit()


@click.group(
    commands=CommandModules(dict.fromkeys(COMMANDS)),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`mstore COMMAND --help` ends with examples. Start with `mstore init`.",
)
@click.option("--workspace", metavar="DIR", help="Use this workspace (also MSTORE_WORKSPACE).")
@click.option(
    "--store", metavar="DIR", help="Use this store alone, without a workspace (also MSTORE_STORE)."
)
@click.option("--no-color", is_flag=True, help="No colours (also NO_COLOR).")
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and which kernel runs, and exit.",
)
@click.pass_context
def app(context: click.Context, workspace: str | None, store: str | None, no_color: bool) -> None:
    """Version control for fine-tuning: every save kept once, byte for byte."""
    context.obj = Settings(store, workspace, os.environ.get("MSTORE_AUTHOR") or None)
    if no_color or os.environ.get("NO_COLOR"):
        context.color = False
