"""Makes docs/cli.md from the commands' own help, docs/json.md, and the README's pictures.

python docs/generate.py cli              writes docs/cli.md (a test compares them)
python docs/generate.py json             writes docs/json.md (a test compares them)
python docs/generate.py examples         runs all commands for the examples of docs/json.md
python docs/generate.py pictures DIR     DIR: what `make demo` left (demo-out)
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from copy import copy
from pathlib import Path

import click

HERE = Path(__file__).parent
INTRODUCTION = """\
# The command line

Made by `python docs/generate.py cli` from the commands' own help.

Data goes to stdout, everything else to stderr. Progress, colours, tables and the
pager appear on a terminal only; `NO_COLOR` or `--no-color` turn colours off.
Control characters in names and messages are shown escaped. `--json` prints one object of strict
JSON, and failures as JSON on stderr; `--fields A,B` chooses fields of it: [json.md](json.md).

## Where the store is

`--workspace DIR`, else `--store DIR`, else `MSTORE_WORKSPACE`, else `MSTORE_STORE`, else
the nearest `.mstore` upward from the current folder. With a store alone there is
no HEAD: `commit` needs PATH and `--branch`, `checkout` needs `--to`, `log` shows all.

The *model directory* is what a bare `commit` takes and a bare `checkout` writes. It is
set by `init --model-dir` or `config model-dir`, else by the first PATH committed; once
a second PATH was committed and none is configured, the bare forms refuse and say so.

The author is `MSTORE_AUTHOR`, else `mstore config author`, else git's, else the login.

## Revisions

| form | means |
|---|---|
| `NAME` | a branch, then a tag, then a full or unique short id (from 4 digits) |
| `HEAD`, `@` | the commit that HEAD points to |
| `REV~n`, `REV^`, `REV^n` | n-th ancestor by first parents; first or n-th parent |
| `BRANCH@{n}` | where the branch was n moves ago; `@{n}`: HEAD's |
| `min:METRIC`, `max:METRIC` | the version with the least, the largest value, in HEAD's history |
| `best:METRIC` | the same, by `greater_is_better` or lower for a loss; else refused |
| `step:N` | the version of a training step, in HEAD's history, else wherever it is alone |
| `best:METRIC@BRANCH`, `step:N@BRANCH` … | the same, in the history of a branch |
| `last:BRANCH` | the tip of a branch |

A metric whose name has `@`, `~`, `^` or `"` in it goes in double quotes, as in `--where`:
`'best:"hits@10"'`. `step:N` reads what `log` shows in the column `step`.

Where `diff` takes a version or a folder: `.`, `..`, and what begins with `./`, `../`, `/` or `~`
or ends in `/`, is a folder; anything else is a version, or, where no version has this name,
a folder. Python's `Repository.diff` reads texts in the same way.

## What is left out of a commit

`.mstore`, `.git`, `checkpoint-*/`, `tmp-checkpoint-*/`, `runs/`, `wandb/`, `mlruns/`, caches,
temporary and lock files; and what `.mstoreignore` in the folder names, in gitignore
syntax (`!runs/` takes a default back). `commit` says what it left out.

## Exit codes

| code | meaning |
|---|---|
| 0 | done; `diff --exit-code`: no file differs |
| 1 | another failure (disk full, no permission); `diff --exit-code`: files differ |
| 2 | the call makes no sense as it stands |
| 3 | not found, or a short id that fits several |
| 4 | damaged |
| 5 | somebody else was faster, or files would be lost |
| 6 | the input breaks a rule |
| 130 | interrupted |
| 141 | whoever read the output stopped reading |

With `diff --exit-code`, failures are never 1: what would be is 2. Reserved, and given by no command
yet: 7 (a decision is needed), 8 (the outcome is unknown: look again; nothing was deleted),
9 (a remote cannot be reached, or refuses).

## Commands
"""
ORDER = [
    "init",
    "status",
    "commit",
    "note",
    "import",
    "log",
    "compare",
    "show",
    "ls",
    "cat",
    "diff",
    "du",
    "checkout",
    "resume",
    "branch",
    "tag",
    "reflog",
    "undo",
    "fsck",
    "gc",
    "forget",
    "repack",
    "config",
    "completion",
]
"""As one meets them: make a store, fill it, look, go back, name, check, tidy up."""


def cli_page() -> str:
    """Return the text of docs/cli.md."""
    from mstore.cli.app import app

    parts = [INTRODUCTION]
    names = app.context_settings["help_option_names"]
    context = click.Context(
        app,
        info_name="mstore",
        terminal_width=96,
        max_content_width=96,
        help_option_names=names,
    )
    if sorted(ORDER) != sorted(app.commands):
        raise SystemExit(f"ORDER and the commands differ: {sorted({*ORDER} ^ {*app.commands})}")
    for name in ORDER:
        command = copy(app.commands[name])
        # click keeps what a command's first context said of `-h`, whoever made that.
        vars(command)["_help_option"] = None
        inner = click.Context(
            command, info_name=name, parent=context, terminal_width=96, max_content_width=96
        )
        parts.append(f"\n### {name}\n\n```\n{click.unstyle(command.get_help(inner)).rstrip()}\n```\n")
    return "".join(parts)


def _on_a_terminal(command: list[str], folder: Path) -> str:
    """Return what a command shows on a terminal of 110 columns."""
    ours, theirs = pty.openpty()
    environment = {
        **os.environ,
        "COLUMNS": "110",
        "LINES": "200",
        "PAGER": "cat",
        "TERM": "xterm-256color",
    }
    process = subprocess.Popen(command, cwd=folder, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = bytearray()
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:
            break
        if not part:
            break
        shown += part
    process.wait()
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def pictures(folder: Path) -> None:
    """Write docs/log.svg and docs/diff.svg from the demo's store."""
    from rich.console import Console
    from rich.text import Text

    for name, arguments, lines in (
        ("log", ["log", "--graph", "--all"], 40),
        ("diff", ["diff", "r4", "r8"], 17),
    ):
        output = _on_a_terminal([sys.executable, "-m", "mstore", *arguments], folder)
        # Where the demo ran is nobody's business.
        output = re.sub(r"(/[\w.-]+)+/demo-out", "demo-out", output)
        shown = output.rstrip("\n").split("\n")
        text = "\n".join([f"$ mstore {' '.join(arguments)}", *shown[:lines]])
        if len(shown) > lines:
            text += "\n…"
        with open(os.devnull, "w") as nowhere:
            console = Console(record=True, width=112, file=nowhere, force_terminal=True)
            console.print(Text.from_ansi(text))
        console.save_svg(str(HERE / f"{name}.svg"), title="mstore")


def main() -> None:
    """Run what was asked for."""
    match sys.argv[1:]:
        case ["cli"]:
            (HERE / "cli.md").write_text(cli_page())
        case ["json" | "examples" as what]:
            sys.path.insert(0, str(HERE.parent))
            from docs.json_page import json_page, make_examples

            if what == "examples":
                make_examples()
            (HERE / "json.md").write_text(json_page())
        case ["pictures", folder]:
            pictures(Path(folder))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
