"""The root command; it registers one module a command."""

from __future__ import annotations

import os

import click

from mstore import __version__
from mstore.cli.commands.branch import branch
from mstore.cli.commands.cat import cat
from mstore.cli.commands.checkout import checkout
from mstore.cli.commands.commit import commit
from mstore.cli.commands.compare import compare
from mstore.cli.commands.completion import completion
from mstore.cli.commands.config import config
from mstore.cli.commands.diff import diff
from mstore.cli.commands.du import du
from mstore.cli.commands.forget import forget
from mstore.cli.commands.fsck import fsck
from mstore.cli.commands.gc import gc
from mstore.cli.commands.import_ import import_
from mstore.cli.commands.init import init
from mstore.cli.commands.log import log
from mstore.cli.commands.ls import ls
from mstore.cli.commands.note import note
from mstore.cli.commands.reflog import reflog
from mstore.cli.commands.repack import repack
from mstore.cli.commands.resume import resume
from mstore.cli.commands.show import show
from mstore.cli.commands.status import status
from mstore.cli.commands.tag import tag
from mstore.cli.commands.undo import undo
from mstore.cli.context import Settings


def _show_version(context: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from mstore.codec.kernel import NAME

        click.echo(f"mstore, version {__version__} ({NAME} kernel)")
        context.exit()


@click.group(
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


for _command in (
    branch,
    cat,
    checkout,
    commit,
    compare,
    completion,
    config,
    diff,
    du,
    forget,
    fsck,
    gc,
    import_,
    init,
    log,
    ls,
    note,
    reflog,
    repack,
    resume,
    show,
    status,
    tag,
    undo,
):
    app.add_command(_command)
