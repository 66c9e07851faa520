"""JSON on stdout: one object a command, strict, its lists given element by element.

docs/json.md says what is in each. Loaded only where `--json` was asked for.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from mstore.render.json import SCHEMA
from mstore.text import jsonable, near_hint, near_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CHOSEN = "mstore.cli.json_output.fields"


def json_line(document: Mapping[str, Any]) -> str:
    """Write an object with the number of its schema in one line."""
    return _text({"schema": SCHEMA, **document})


def show_json(document: Mapping[str, Any]) -> None:
    """Print an object, or those of its fields that `--fields` chose."""
    chosen = {"schema": SCHEMA, **_chosen(document)}
    click.echo(json.dumps(jsonable(chosen), indent=2, ensure_ascii=True, allow_nan=False))


def show_json_list(key: str, elements: Iterable[Mapping[str, Any]], **rest: Any) -> None:
    """Print an object with a list of others, each in a line of its own as it comes.

    Args:
        key: the list's.
        elements: its elements; of each, the fields that `--fields` chose are printed.
        rest: the object's other fields, which come before the list.
    """
    opening = json_line(rest)[:-1] + f", {_text(key)}: ["
    line = None
    for element in elements:
        # Where the first one cannot be had, nothing was printed.
        click.echo(opening if line is None else line + ",")
        line = _text(_chosen(element))
    if line is None:
        click.echo(opening + "]}")
    else:
        click.echo(line)
        click.echo("]}")


def _text(value: Any) -> str:
    return json.dumps(jsonable(value), ensure_ascii=True, allow_nan=False)


def _chosen(document: Mapping[str, Any]) -> Mapping[str, Any]:
    chosen: frozenset[str] | None = click.get_current_context().meta.get(_CHOSEN)
    if chosen is None:
        return document
    return {key: value for key, value in document.items() if key in chosen}


def choose_fields(text: str, given: Mapping[str, Any]) -> None:
    """Record which fields `--fields` chooses from the running command's output.

    Args:
        text: names with commas between them.
        given: the command's parameters, which say in what form it answers.

    Raises:
        UsageError: a name is none of a field.
    """
    context = click.get_current_context()
    known = _fields(str(context.command.name), given)
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    for name in wanted:
        if name not in known:
            from mstore.errors import UsageError

            hint = near_hint(near_names(name, known)) or "its fields: " + ", ".join(known)
            raise UsageError(f"--fields: there is no field {name!r} in this output", hint=hint)
    if wanted:
        context.meta[_CHOSEN] = frozenset(wanted)


def _fields(command: str, given: Mapping[str, Any]) -> tuple[str, ...]:
    from mstore.render.json.catalogue import FORMS

    for option, typed in (("dry_run", "--dry-run"), ("tensors", "--tensors")):
        if given.get(option):
            form = FORMS.get(f"{command} {typed}") or FORMS.get(f"{command} --repair {typed}")
            return (form or FORMS[command]).fields
    form = FORMS.get(f"{command} NAME") if given.get("name") is not None else None
    return (form or FORMS[command]).fields
