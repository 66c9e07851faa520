"""mstore cat: the bytes of one file of a version."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from mstore.cli.context import examples, look_up, repo
from mstore.cli.params import REVISION

if TYPE_CHECKING:
    from mstore.api.values import Revision


@examples("""
mstore cat r8 adapter_config.json
mstore cat HEAD~1 model.safetensors > old.safetensors
""")
@click.command()
@click.argument("rev", type=REVISION)
@click.argument("path")
def cat(rev: Revision, path: str) -> None:
    """Print the bytes of one file of a version."""
    parts = repo().cat(look_up(rev), path)
    out = sys.stdout.buffer
    for part in parts:
        out.write(part)
    out.flush()
