"""Output for people: errors, warnings, plans, progress, the pager.

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

from mstore.text import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Protocol

    class _Plan(Protocol):
        """The plan of a command."""

        def to_dict(self) -> dict[str, Any]:
            """Give it as JSON values."""


_PATIENCE_SECONDS = 1.0


class _Asked:
    """The running command's `--json`, for failures after it was read."""

    json = False


def ask_for_json(asked: bool) -> None:
    """Set whether failures are printed as JSON."""
    _Asked.json = asked


def wants_json(typed: Sequence[str] = ()) -> bool:
    """Return whether failures are printed as JSON: `--json` was read, or is among the words typed."""
    options = typed[: typed.index("--")] if "--" in typed else typed
    return _Asked.json or any(word.partition("=")[0] == "--json" for word in options)


def fail(
    code: str, exit_code: int, message: str, hint: str | None = None, *, typed: Sequence[str] = ()
) -> int:
    """Show on stderr why the command failed, as text or as JSON; gives the exit code.

    Args:
        code: a name for what happened, as `MStoreError.code` is one.
        exit_code: the exit code.
        message: one sentence.
        hint: what to do about it.
        typed: the words of the command line, for failures before `--json` could be read.
    """
    if not wants_json(typed):
        complain(message, hint)
        return exit_code
    from mstore.cli.json_output import json_line
    from mstore.render.json.documents import failure_document

    click.echo(json_line(failure_document(code, exit_code, message, hint)), err=True)
    return exit_code


def complain(message: str, hint: str | None = None) -> None:
    """Show an error on stderr."""
    _say("error", "red", message)
    if hint:
        _say("hint", "yellow", hint)


def warn(message: str) -> None:
    """Show a warning on stderr."""
    _say("warning", "yellow", message)


def hint(message: str) -> None:
    """Show what to do next on stderr."""
    _say("hint", "yellow", message)


def _say(word: str, colour: str, message: str) -> None:
    click.echo(click.style(f"{word}: ", fg=colour) + escaped(message, newlines=True), err=True)


def show_plan(plan: _Plan, as_json: bool) -> None:
    """Show the plan of a command, for `--dry-run`."""
    if as_json:
        from mstore.cli.json_output import show_json

        show_json(plan.to_dict())
    else:
        click.echo(escaped(str(plan), newlines=True))


def page(lines: Iterable[str]) -> None:
    """Print lines, through a pager if stdout is a terminal."""
    if not sys.stdout.isatty():
        echo_lines(lines)
        return
    # As git sets it: quit if it fits the screen, keep colours, do not clear.
    os.environ.setdefault("LESS", "FRX")
    colours = click.get_current_context().color is not False
    click.echo_via_pager(_joined(lines), color=colours)


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines with breaks between them: the pager adds the last one."""
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
    """Yield a progress callback; None where stderr is no terminal."""
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


def styled(text: str, style: str) -> str:
    """Colour a text for the terminal by the name that `mstore.render` gives: a colour, bold or dim."""
    return click.style(text, **{style: True} if style in ("bold", "dim") else {"fg": style})


def echo_lines(lines: Iterable[str]) -> None:
    """Print lines on stdout, without a pager."""
    for line in lines:
        click.echo(line)
