"""Options that several commands take, and how their values are read."""

from __future__ import annotations

import re
from typing import Any

import click

_FLOAT = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE
)


META = click.option(
    "--meta",
    "meta",
    multiple=True,
    metavar="K=V",
    help="Metadata; V is JSON where it parses, else text.",
)


METRIC = click.option(
    "--metric", "metric", multiple=True, metavar="K=V", help="A number to keep beside the weights."
)


def read_pairs(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Metadata from `K=V` arguments."""
    import json

    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--meta {pair!r}: must be KEY=VALUE")
        try:
            found[key] = json.loads(text)
        except (ValueError, RecursionError):
            found[key] = text
    return found


def read_metrics(pairs: tuple[str, ...]) -> dict[str, float]:
    """Metrics from `K=V` arguments."""
    found: dict[str, float] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--metric {pair!r}: must be NAME=NUMBER")
        if not _FLOAT.fullmatch(text):
            raise click.UsageError(f"--metric {pair!r}: {text!r} is not a number")
        found[key] = float(text)
    return found


def read_meta_file(path: str) -> dict[str, Any]:
    """Metadata from a JSON file. Raises InvalidInput with line and column."""
    from mstore.errors import InvalidInput
    from mstore.formats import read_json_object

    try:
        with open(path, "rb") as file:
            content = file.read(64 << 20)
    except OSError as error:
        raise InvalidInput(path, f"cannot be read: {error.strerror}") from error
    return read_json_object(content, path)
