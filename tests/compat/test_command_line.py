"""The command line of earlier releases: every command and option is there, and takes what it took."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mstore.cli.app import app

PAGES = sorted(Path(__file__).parent.glob("cli-*.md"))
CODES = {0, 1, 2, 3, 4, 5, 6, 130, 141}


def _commands(page: str) -> dict[str, str]:
    """The help of each command, by its name."""
    return dict(re.findall(r"^### (\S+)\n\n```\n(.*?)^```", page, re.MULTILINE | re.DOTALL))


def _options(shown: str) -> Iterator[tuple[list[str], bool]]:
    """Spellings of each option, and whether it takes a value."""
    section = shown.partition("\nOptions:\n")[2].partition("\n\n")[0]
    for line in section.splitlines():
        found = re.match(r"  (-\S+(?:, -\S+)*)( [A-Z\[{]\S*)?(?:  |$)", line)
        if found is not None:
            yield found.group(1).split(", "), found.group(2) is not None


def test_there_are_some() -> None:
    assert PAGES
    for page in PAGES:
        assert len(_commands(page.read_text())) >= 24


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_commands_and_options_are_still_there(page: Path) -> None:
    seen = 0
    for name, shown in _commands(page.read_text()).items():
        assert name in app.commands, f"there is no `mstore {name}` any more"
        known = {
            spelled: parameter
            for parameter in app.commands[name].params
            if isinstance(parameter, click.Option)
            for spelled in (*parameter.opts, *parameter.secondary_opts)
        }
        for spellings, takes_value in _options(shown):
            for spelled in spellings:
                if spelled in ("--help", "-h"):
                    continue
                seen += 1
                assert spelled in known, f"`mstore {name}` no longer takes {spelled}"
                assert known[spelled].is_flag != takes_value, f"`mstore {name} {spelled}`: a value?"
    assert seen > 80


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_arguments_stand_where_they_stood(page: Path) -> None:
    for name, shown in _commands(page.read_text()).items():
        (usage,) = re.findall(rf"^Usage: mstore {name} \[OPTIONS\](.*)$", shown, re.MULTILINE)
        before = usage.split()
        now = [p for p in app.commands[name].params if isinstance(p, click.Argument)]
        assert len(now) >= len(before), f"mstore {name} {usage}"
        for argument, word in zip(now, before, strict=False):
            assert not argument.required or not word.startswith("["), f"{name} now demands {word}"
        assert all(not argument.required for argument in now[len(before) :])


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_exit_codes_mean_what_they_meant(page: Path) -> None:
    """The lines of the old table are lines of the new one."""
    now = (Path(__file__).parents[2] / "docs/cli.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", page.read_text(), re.MULTILINE)
    assert {int(code) for code, _ in rows} == CODES
    table = dict(re.findall(r"^\| (\d+) \| (.*) \|$", now, re.MULTILINE))
    for code, meaning in rows:
        assert meaning in table[code], f"{code} was: {meaning}"
