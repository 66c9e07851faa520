"""The command line: the only place that reads the environment, prints, or knows exit codes.

`main` turns every outcome into an exit code; no traceback reaches a user.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130
PIPE_CLOSED = 141


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `mstore`; leaves by SystemExit."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:  # noqa: C901 - one clause an exit code
    """Run `mstore` and give the exit code (docs/cli.md has the list)."""
    import click

    from mstore.cli.app import app
    from mstore.cli.output import complain
    from mstore.errors import MStoreError
    from mstore.fs.temp import remove_own

    try:
        result = app.main(
            list(arguments) if arguments is not None else None, "mstore", standalone_mode=False
        )
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except MStoreError as error:
        complain(error.message, error.hint)
        return error.exit_code
    except SystemExit as error:
        # click meets a closed pipe itself: it mutes stdout and leaves with 1.
        if "PacifyFlush" in type(sys.stdout).__name__:
            return PIPE_CLOSED
        return error.code if isinstance(error.code, int) else 1
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        remove_own()
        complain("interrupted; nothing half-done is left behind")
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has seen enough (`mstore log | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OSError as error:
        # Those of stores and files were translated where they were met: what is left is our output.
        complain(f"cannot write the output: {error.strerror or error}")
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get("MSTORE_DEBUG"):
            raise
        complain(
            f"this is a defect of mstore: {type(error).__name__}: {error}",
            "MSTORE_DEBUG=1 shows where; please report it with that",
        )
        return 1
