"""mstore cat: the bytes of one file of a version."""

from __future__ import annotations

import sys

import click

from mstore.cli.context import REVISION, examples, repo


@examples("""
mstore cat r8 adapter_config.json
mstore cat HEAD~1 model.safetensors > old.safetensors
""")
@click.command()
@click.argument("rev", type=REVISION)
@click.argument("path")
def cat(rev: str, path: str) -> None:
    """The bytes of one file of a version, to stdout."""
    parts = repo(rev).cat(rev, path)
    out = sys.stdout.buffer
    for part in parts:
        out.write(part)
    out.flush()
