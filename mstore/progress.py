"""The callback by which operations report their progress."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with (the step, bytes done, bytes in all)."""
