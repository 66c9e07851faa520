"""What holds for every command: help, exit codes, JSON, colours, completion."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from mstore.cli.app import COMMANDS as FIRST_SENTENCES
from mstore.cli.app import app

Run = Callable[..., Any]
COMMANDS = sorted(app.commands)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_has_the_first_sentence_of_each(name: str) -> None:
    """`--help` prints them, and imports no command for it."""
    paragraph = " ".join(str(app.commands[name].help).partition("\n\n")[0].split())
    assert FIRST_SENTENCES[name] == paragraph.partition(". ")[0].removesuffix(".") + "."


def test_the_commands_of_this_release() -> None:
    promised = "init status commit note log show ls cat diff checkout branch tag reflog undo"
    promised += " fsck config completion import"
    assert set(COMMANDS) >= set(promised.split())


def test_a_misspelt_command_is_answered_with_the_near_one(mstore: Run) -> None:
    _, _, err = mstore("comit", code=2)
    assert "No such command 'comit'. Did you mean 'commit'?" in err


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_in_examples(mstore: Run, name: str) -> None:
    _, out, err = mstore(name, "--help")
    assert out.startswith(f"Usage: mstore {name}") and err == ""
    head, found, examples = out.partition("Examples:")
    assert found, "no examples"
    lines = [line.strip() for line in examples.strip().splitlines()]
    assert lines and all(line.startswith("mstore ") for line in lines), "something follows the examples"
    assert all(line.split()[1] == name for line in lines)
    assert max(map(len, out.splitlines())) <= 100
    text = [
        line for line in head.splitlines() if line.startswith("  ") and not line.strip().startswith("-")
    ]
    assert not any("    " in line.strip().split(" -")[0] and "  --" not in line for line in text[:6]), (
        "text is ragged"
    )


def _example_lines() -> list[list[str]]:
    import shlex

    found = []
    for name in COMMANDS:
        context = click.Context(app.commands[name], info_name=name)
        text = app.commands[name].get_help(context)
        for line in text.partition("Examples:")[2].strip().splitlines():
            typed = re.split("  #| [|>] | >> ", line.strip())[0]
            found.append(shlex.split(typed)[1:])
    return found


@pytest.mark.parametrize("line", _example_lines(), ids=" ".join)
def test_examples_are_calls_that_parse(line: list[str]) -> None:
    command = app.commands[line[0]]
    with command.make_context(line[0], list(line[1:]), resilient_parsing=False) as context:
        assert context.params is not None


def test_help_of_all(mstore: Run) -> None:
    for option in ("--help", "-h"):
        _, out, _ = mstore(option)
        for name in COMMANDS:
            assert name in out
    _, out, _ = mstore("--version")
    from mstore import __version__

    assert __version__ in out
    code, out, err = mstore(code=None)
    assert code in (0, 2) and "Usage" in out + err


def test_exit_codes(mstore: Run, history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mstore("log")[0] == 0
    from mstore.errors import StorageFailed
    from mstore.store import Store

    with monkeypatch.context() as full:

        def fail(*_: Any, **__: Any) -> Any:
            raise StorageFailed(
                "writing failed: No space left on device", errno=28, hint="the disk is full"
            )

        full.setattr("mstore.commit.execute.Transaction", fail)
        _, _, err = mstore("commit", "out", "--allow-empty", code=1)
        assert "disk is full" in err
    _, _, err = mstore("frobnicate", code=2)
    mstore("log", "--frobnicate", code=2)
    mstore("show", "a", "b", code=2)
    mstore("show", "nowhere", code=3)
    (pack, *_) = sorted((history / ".mstore/store/packs").rglob("*.pack"))
    mstore("branch", "main", code=5)
    mstore("branch", "a..b", code=6)
    monkeypatch.setattr(Store, "__init__", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt()))
    mstore("log", code=130)
    monkeypatch.undo()
    os.chdir(history)
    pack.chmod(0o644)
    pack.write_bytes(b"")
    mstore("fsck", code=4)


def test_errors_go_to_stderr_with_a_hint(mstore: Run, history: Path) -> None:
    _, out, err = mstore("show", "mian", code=3)
    assert (
        out == ""
        and err.splitlines()[0].startswith("error: ")
        and err.splitlines()[1].startswith("hint: ")
    )


def test_a_defect_of_ours_is_no_traceback(
    mstore: Run, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("mstore.api.repository.Repository.status", broken)
    _, _, err = mstore("status", code=1)
    assert "defect" in err and "MSTORE_DEBUG" in err and "oops" in err


JSON_COMMANDS = [
    "status",
    "log",
    "log --all",
    "log -n 0",
    "show",
    "show r8",
    "ls",
    "ls --tensors",
    "diff main r8",
    "diff r4 r8 --stat",
    "branch",
    "tag",
    "reflog",
    "reflog r8",
    "fsck",
    "fsck --quick",
    "config",
    "checkout main --to x",
    "import out --dry-run",
    "import out",
    "commit out --allow-empty",
]


@pytest.mark.parametrize("line", JSON_COMMANDS)
def test_json_is_strict_and_alone(mstore: Run, history: Path, line: str) -> None:
    mstore("note", "r8", "--metric", "bad=nan", "--metric", "worse=inf", "--meta", "x=\x1b[2J")
    _, out, _ = mstore(*line.split(), "--json")
    json.loads(out, parse_constant=lambda c: pytest.fail(f"bare {c}"))
    assert out.isascii(), "JSON for pipes is plain ASCII"
    command = app.commands[line.split(maxsplit=1)[0]]
    assert any("--json" in p.opts for p in command.params)


def test_every_command_that_reports_has_json() -> None:
    for name in (
        "status",
        "log",
        "show",
        "ls",
        "diff",
        "branch",
        "tag",
        "reflog",
        "fsck",
        "config",
        "commit",
        "checkout",
        "import",
    ):
        assert any("--json" in p.opts for p in app.commands[name].params), name


def test_fsck(mstore: Run, history: Path) -> None:
    _, out, _ = mstore("fsck")
    assert "all well" in out and "4 commits" in out
    found = json.loads(mstore("fsck", "--json")[1])
    assert found["ok"] is True and found["problems"] == [] and found["commit_count"] == 4
    for key in ("quick", "harmless", "pack_count", "object_count", "read_bytes"):
        assert key in found
    for path in (history / ".mstore/store/packs").rglob("*.pack"):
        path.chmod(0o644)
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 1
        path.write_bytes(content)
    _, out, _ = mstore("fsck", "--json", code=4)
    found = json.loads(out)
    assert found["ok"] is False and found["problems"]
    assert set(found["problems"][0]) == {"where", "what", "affects", "hint"}


def test_completion(mstore: Run, history: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        _, out, _ = mstore("completion", shell)
        assert "_MSTORE_COMPLETE" in out
    mstore("completion", "tcsh", code=2)
    words = {
        **os.environ,
        "_MSTORE_COMPLETE": "bash_complete",
        "COMP_WORDS": "mstore show r",
        "COMP_CWORD": "2",
    }
    line = [
        sys.executable,
        "-c",
        "import sys; sys.argv[0] = 'mstore'; from mstore.cli import main; main()",
    ]
    done = subprocess.run(line, env=words, capture_output=True, text=True, check=False)
    assert [w.split(",")[1] for w in done.stdout.split()] == ["r4", "r8"], done
    os.chdir("/")
    done = subprocess.run(line, env=words, capture_output=True, text=True, check=False, cwd="/")
    assert done.stdout.strip() == "" and done.stderr == "", "a completion must not write into a prompt"


def _on_a_terminal(arguments: list[str], **environment: str) -> str:
    import pty

    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover - another process
        os.environ.update(PAGER="cat", TERM="xterm-256color", COLUMNS="120", **environment)
        os.execv(sys.executable, [sys.executable, "-m", "mstore", *arguments])
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return shown.decode()


def test_colours(history: Path) -> None:
    for command in (
        ["log"],
        ["log", "--graph", "--all"],
        ["diff", "r4", "r8"],
        ["show"],
        ["branch"],
        ["status"],
    ):
        assert "\x1b[" in _on_a_terminal(command), command
        assert "\x1b[" not in _on_a_terminal(["--no-color", *command]), command
        assert "\x1b[" not in _on_a_terminal(command, NO_COLOR="1"), command
        done = subprocess.run(
            [sys.executable, "-m", "mstore", *command], capture_output=True, text=True, check=True
        )
        assert "\x1b[" not in done.stdout + done.stderr


def test_the_table_on_a_terminal(history: Path) -> None:
    shown = _on_a_terminal(["--no-color", "log", "--all"])
    assert "r/alpha" in shown and "8/16" in shown and "HEAD → main" in shown
