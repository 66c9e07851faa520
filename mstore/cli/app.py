"""The root command; a command is a module of its name, imported when it is asked for."""

from __future__ import annotations

import os
from collections import UserDict
from importlib import import_module
from typing import Any, Final

import click

from mstore import __version__
from mstore.cli.context import Settings

COMMANDS: Final = {
    "branch": "List branches; make, move, rename or delete one.",
    "cat": "Print the bytes of one file of a version.",
    "checkout": "Write a version into a folder, byte for byte as it was saved.",
    "commit": "Keep a folder as a version.",
    "compare": "Compare versions: hyper-parameters, facts of the model, metrics.",
    "completion": "Print a script that completes commands, options, branches and tags.",
    "config": "Show or set the configuration: author, model-dir, keep-training-state.",
    "diff": "Show differences: LoRA ranks and shapes, configuration, metrics, tensors, files.",
    "du": "Show the bytes of versions: shared, new, stored, as deltas.",
    "forget": "Drop files from old versions for good, such as the optimizer's states.",
    "fsck": "Check the store for damage.",
    "gc": "Free the space of objects that no branch, tag or reflog needs.",
    "import": "Turn checkpoint folders into history.",
    "init": "Make a workspace here, and a store in it.",
    "log": "List versions, the latest first, with their facts and metrics.",
    "ls": "List the files of a version, or its tensors.",
    "note": "Add metrics or metadata to a version later; its id stays.",
    "reflog": "List the moves of a branch or tag; NAME@{n} names its former commits.",
    "repack": "Re-encode objects with better delta bases, and merge small packs.",
    "resume": "Write a version out so that training can go on from it.",
    "show": "Show one version in full: message, metadata, metrics, files, notes.",
    "status": "Show the current branch, what changed, and what to run next.",
    "tag": "List tags; make, move, rename or delete one.",
    "undo": "Undo your own last operation.",
}
"""Each command, and the first sentence of its help, so that `--help` imports none (a test compares)."""


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


class RootCommand(click.Group):
    """The root command, which lists the others without importing them."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with the beginning of their help."""
        limit = formatter.width - 6 - max(map(len, COMMANDS))
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, click.Command(name, help=text).get_short_help_str(limit))
                    for name, text in COMMANDS.items()
                ]
            )


def _show_version(context: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from mstore.api.process import kernel_name

        click.echo(f"mstore, version {__version__} ({kernel_name()} kernel)")
        context.exit()


@click.group(
    cls=RootCommand,
    commands=CommandModules(dict.fromkeys(COMMANDS)),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`mstore COMMAND --help` ends with examples. Start with `mstore init`.",
)
@click.option("--workspace", metavar="DIR", help="Use this workspace (also MSTORE_WORKSPACE).")
@click.option(
    "--store", metavar="DIR", help="Use this store alone, without a workspace (also MSTORE_STORE)."
)
@click.option("--no-color", is_flag=True, help="Do not use colours (also NO_COLOR).")
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
