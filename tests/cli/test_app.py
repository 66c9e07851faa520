"""The root command: a command is a module of its name, imported when it is asked for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mstore.cli import commands
from mstore.cli.app import COMMANDS, app
from tests.cli.conftest import Run


def test_each_command_is_a_module_and_each_module_a_command() -> None:
    folder = Path(commands.__file__).parent
    there = {path.stem.rstrip("_") for path in folder.glob("[a-z]*.py")}
    assert there == set(COMMANDS) and list(COMMANDS) == sorted(COMMANDS)
    for name in COMMANDS:
        command = app.commands[name]
        assert command.name == name and command.help and command.epilog


def test_none_is_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys, mstore.cli.app as a; a.app.commands['log']; begin = 'mstore.cli.commands.';"
        " print([name for name in sys.modules if name.startswith(begin)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['mstore.cli.commands.log']\n"


def test_a_command_that_never_was_is_none() -> None:
    with pytest.raises(KeyError):
        app.commands["push"]


def test_the_version_names_the_kernel(mstore: Run) -> None:
    _, out, _ = mstore("--version")
    assert re.fullmatch(r"mstore, version \d+\.\d+\.\d+ \(\w+ kernel\)\n", out)
