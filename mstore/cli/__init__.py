"""The command line: the only place that reads the environment, prints, or knows exit codes.

`main` turns every outcome into an exit code; no traceback reaches a user.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click

INTERRUPTED = 130
PIPE_CLOSED = 141


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `mstore`; leaves by SystemExit."""
    # The objects that a start allocates stay: to look for garbage among them is 4 % of a short command.
    gc.set_threshold(50_000)
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:  # noqa: C901 - one clause an exit code
    """Run `mstore` and give the exit code (docs/cli.md has the list)."""
    import click

    from mstore.cli.app import app
    from mstore.cli.output import ask_for_json, fail
    from mstore.errors import MStoreError

    typed = list(sys.argv[1:] if arguments is None else arguments)
    ask_for_json(False)
    try:
        result = app.main(
            list(arguments) if arguments is not None else None, "mstore", standalone_mode=False
        )
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except MStoreError as error:
        return fail(error.code, error.exit_code, error.message, error.hint)
    except SystemExit as error:
        # click meets a closed pipe itself: it mutes stdout and leaves with 1.
        if "PacifyFlush" in type(sys.stdout).__name__:
            return PIPE_CLOSED
        return error.code if isinstance(error.code, int) else 1
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        from mstore.api.process import remove_temporary_files

        remove_temporary_files()
        said = "interrupted; nothing half-done is left behind"
        return fail("interrupted", INTERRUPTED, said, typed=typed)
    except click.ClickException as error:
        return _fail_of_click(error, typed)
    except BrokenPipeError:
        # The reader of our output has seen enough (`mstore log | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OSError as error:
        # Those of stores and files were translated where they were met: what is left is our output.
        code = fail("output-failed", 1, f"cannot write the output: {error.strerror or error}")
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code
    except Exception as error:
        if os.environ.get("MSTORE_DEBUG"):
            raise
        said = f"this is a defect of mstore: {type(error).__name__}: {error}"
        return fail("defect", 1, said, "MSTORE_DEBUG=1 shows where; please report it with that")


def _fail_of_click(error: click.ClickException, typed: Sequence[str]) -> int:
    """Show what click has to say of a call; as it likes to, where no JSON was asked for."""
    from mstore.cli.output import fail, wants_json

    if not wants_json(typed):
        error.show()
        return error.exit_code
    return fail("usage-error", error.exit_code, error.format_message(), typed=typed)
