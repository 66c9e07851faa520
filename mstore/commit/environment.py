"""The surroundings that a commit records unasked: packages, code, host.

Everything here is a courtesy: what cannot be found out is left out.
"""

from __future__ import annotations

import platform
import subprocess
from typing import Any, Final

_PACKAGES: Final = (
    "torch",
    "transformers",
    "peft",
    "trl",
    "accelerate",
    "datasets",
    "safetensors",
    "tokenizers",
    "bitsandbytes",
    "numpy",
)
_GIT_SECONDS: Final = 5


def environment() -> dict[str, Any]:
    """Collect Python, host, versions of the packages that train, and the state of the code around.

    The code is the git repository of the current folder: its commit, and whether
    files that git follows differ from it.
    """
    from importlib.metadata import PackageNotFoundError, version

    packages = {}
    for name in (*_PACKAGES, "mstore"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "host": platform.node(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": packages,
    }
    code = _code()
    if code:
        found["code"] = code
    return found


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=_GIT_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _code() -> dict[str, Any]:
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return {}
    changed = _git("status", "--porcelain", "--untracked-files=no")
    code: dict[str, Any] = {"commit": commit}
    if changed is not None:
        code["dirty"] = bool(changed)
    return code
