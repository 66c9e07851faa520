"""What people see: errors, warnings, JSON, progress, the pager.

Data goes to stdout, everything else to stderr. Text from files passes through
`escaped` before it reaches a terminal.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from mstore.text import escaped, jsonable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PATIENCE_SECONDS = 1.0


def complain(message: str, hint: str | None = None) -> None:
    """Show an error on stderr."""
    click.echo(click.style("error: ", fg="red") + escaped(message, newlines=True), err=True)
    if hint:
        click.echo(click.style("hint: ", fg="yellow") + escaped(hint, newlines=True), err=True)


def warn(message: str) -> None:
    """Show a warning on stderr."""
    click.echo(click.style("warning: ", fg="yellow") + escaped(message, newlines=True), err=True)


def hint(message: str) -> None:
    """Show what to do next on stderr."""
    click.echo(click.style("hint: ", fg="yellow") + escaped(message, newlines=True), err=True)


def show_json(value: Any) -> None:
    """Print a value as strict JSON (NaN and infinities as text)."""
    import json

    click.echo(json.dumps(jsonable(value), indent=2, ensure_ascii=True, allow_nan=False))


def show_json_list(values: Iterable[Any]) -> None:
    """Print a list of values as one JSON array, each as it comes."""
    import json

    separator = "["
    for value in values:
        click.echo(separator + json.dumps(jsonable(value), ensure_ascii=True, allow_nan=False))
        separator = ","
    click.echo("]" if separator == "," else "[]")


def page(lines: Iterable[str]) -> None:
    """Print lines, through a pager if stdout is a terminal."""
    if not sys.stdout.isatty():
        for line in lines:
            click.echo(line)
        return
    # As git sets it: quit if it fits the screen, keep colours, do not clear.
    os.environ.setdefault("LESS", "FRX")
    colours = click.get_current_context().color is not False
    click.echo_via_pager(_joined(lines), color=colours)


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Lines with breaks between them: the pager adds the last one."""
    first = True
    for line in lines:
        yield line if first else "\n" + line
        first = False


class _Bar:
    """Tells of long work on stderr, if that is a terminal; stays silent for the first second."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._progress: Any = None
        self._tasks: dict[str, Any] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if self._progress is None:
            if time.monotonic() - self._since < _PATIENCE_SECONDS:
                return
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                DownloadColumn,
                Progress,
                TextColumn,
                TransferSpeedColumn,
            )

            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._progress.start()
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=total)
        self._progress.update(self._tasks[what], completed=done, total=total)

    def stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()


@contextmanager
def progress() -> Iterator[Any]:
    """A progress callback for as long as the context lasts; None where nobody would see it."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = _Bar()
    try:
        yield bar
    finally:
        bar.stop()


def terminal_width() -> int:
    """Give the columns of the terminal; 1000 where the output goes elsewhere."""
    import shutil

    # A program that reads along wants whole names.
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 1000


def ignored_text(paths: tuple[str, ...]) -> str:
    """Ignored paths in one line."""
    from mstore.text import escaped

    text = ", ".join(escaped(p) for p in paths[:6])
    return text + (f" and {len(paths) - 6} more" if len(paths) > 6 else "")
