"""mstore completion: the script that completes commands in a shell."""

from __future__ import annotations

import click

from mstore.cli.context import examples


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
    click.echo(
        found(
            click.get_current_context().find_root().command, {}, "mstore", "_MSTORE_COMPLETE"
        ).source()
    )
