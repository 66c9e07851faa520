"""fsck, repack, config, completion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mstore.cli.app import app, examples, repo
from mstore.cli.output import progress, show_json

if TYPE_CHECKING:
    from mstore.ops.fsck import Problem

CORRUPT = 4


@examples("""
mstore fsck
mstore fsck --quick
""")
@click.command()
@click.option("--quick", is_flag=True, help="Check the sums of stored bytes only, at memory speed.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def fsck(quick: bool, as_json: bool) -> int:
    """Check that everything stored is what was stored. Exits 4 if anything is damaged."""
    from mstore.ops.text import escaped, size

    with progress() as told:
        found = repo().fsck(quick=quick, progress=told)
    if as_json:
        show_json(
            {
                "ok": found.ok,
                "quick": found.quick,
                "problems": [_plain_problem(p) for p in found.problems],
                "warnings": [_plain_problem(p) for p in found.warnings],
                "packs": found.packs,
                "objects": found.objects,
                "commits": found.commits,
                "bytes_read": found.bytes_read,
            }
        )
        return 0 if found.ok else CORRUPT
    for word, colour, problems in (
        ("damaged", "red", found.problems),
        ("note", "yellow", found.warnings),
    ):
        for problem in problems:
            click.echo(
                f"{click.style(word, fg=colour)}: {escaped(problem.where)}: {escaped(problem.what)}"
            )
            for use in problem.affects:
                click.echo(f"    needed by {escaped(use)}")
            if problem.hint:
                click.echo(f"    {problem.hint}")
    checked = "sums of stored bytes" if quick else "every id"
    click.echo(
        f"{found.commits} commits, {found.objects} objects in {found.packs} packs,"
        f" {size(found.bytes_read)}: checked {checked}; " + ("all well" if found.ok else "DAMAGED")
    )
    return 0 if found.ok else CORRUPT


def _plain_problem(problem: Problem) -> dict[str, Any]:
    return {
        "where": problem.where,
        "what": problem.what,
        "affects": list(problem.affects),
        "hint": problem.hint,
    }


@examples("""
mstore repack
""")
@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def repack(as_json: bool) -> None:
    """Code again what was stored in haste, and merge small packs.

    New packs are read back and checked before old ones go. It may be interrupted.
    """
    from dataclasses import asdict

    from mstore.ops.text import size

    with progress() as told:
        done = repo().repack(progress=told)
    if as_json:
        show_json(asdict(done))
    elif not done.worth:
        click.echo(f"{size(done.before_bytes)}: nothing to gain, nothing changed")
    else:
        click.echo(
            f"{size(done.before_bytes)} → {size(done.after_bytes)}:"
            f" {done.removed} packs became {done.written}"
            + (f"; {done.kept} old ones are still leant on" if done.kept else "")
        )


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
    from mstore.ops.text import escaped
    from mstore.workspace import CONFIG_KEYS

    workspace = repo().place.need_workspace("config")
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


@examples("""
mstore completion bash >> ~/.bashrc
mstore completion fish > ~/.config/fish/completions/mstore.fish
""")
@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes commands, options, branches and tags."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(app, {}, "mstore", "_MSTORE_COMPLETE").source())


COMMANDS = (fsck, repack, config, completion)
