"""Arguments and options that several commands take, and how their values are read."""

from __future__ import annotations

import re
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from mstore.cli.context import Settings
from mstore.cli.output import ask_for_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mstore.api.values import Revision

_FLOAT = r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity|nan)"


class _Naming(click.ParamType["Revision | Path"]):
    """A parameter that names a version; completes branches and tags."""

    name = "rev"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        from click.shell_completion import CompletionItem

        try:
            names = Settings(None, None, None).open().ref_names()
        except Exception:
            # A completion that fails must not write into the user's prompt.
            return []
        return [CompletionItem(n) for n in names if n.startswith(incomplete)]


class RevisionType(_Naming):
    """A revision, read; the command looks it up."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Revision | Path:
        """Read a revision. Raises UsageError."""
        from mstore.api.revisions import parse

        return parse(value) if isinstance(value, str) else value


class SideType(_Naming):
    """A revision or a folder."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Revision | Path:
        """Read one side of a diff. Raises UsageError."""
        from mstore.api.revisions import parse_side

        return parse_side(value) if isinstance(value, str) else value


REVISION = RevisionType()
SIDE = SideType()

META = click.option(
    "--meta",
    "meta",
    multiple=True,
    metavar="K=V",
    help="Add metadata; V is JSON where it parses, else text.",
)


METRIC = click.option(
    "--metric", "metric", multiple=True, metavar="K=V", help="Add a metric; V is a number."
)


def json_options(note: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options that every command has whose output is data.

    Args:
        note: other options that `--json` needs, for its help.
    """

    def apply(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*, fields: str | None, **given: Any) -> Any:
            if fields is not None:
                if not given["as_json"]:
                    raise click.UsageError("--fields chooses what --json gives: add --json")
                from mstore.cli.json_output import choose_fields

                choose_fields(fields, given)
            try:
                return function(**given)
            except KeyboardInterrupt:
                if not given["as_json"]:
                    raise
                # click would end the terminal's line first, and stderr is one line of JSON.
                raise click.Abort from None

        as_json = click.option(
            "--json",
            "as_json",
            is_flag=True,
            is_eager=True,
            callback=_asked,
            help="Print JSON" + (f"; {note}." if note else "."),
        )
        fields = click.option("--fields", metavar="A,B", help="Print only these fields; needs --json.")
        # What is applied last comes first in the help.
        return as_json(fields(call))

    return apply


def _asked(context: click.Context, param: click.Parameter, value: bool) -> bool:
    if value and not context.resilient_parsing:
        ask_for_json(True)
    return value


def read_pairs(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Read metadata from `K=V` arguments."""
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
    """Read metrics from `K=V` arguments."""
    found: dict[str, float] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--metric {pair!r}: must be NAME=NUMBER")
        if not re.fullmatch(_FLOAT, text, re.IGNORECASE):
            raise click.UsageError(f"--metric {pair!r}: {text!r} is not a number")
        found[key] = float(text)
    return found
