"""The results of checkout, resume and undo, printing themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.api.results.printable import Printable
from mstore.checkout.execute import CheckoutResult
from mstore.checkout.undo import Undone
from mstore.render.checkout import checkout_lines, resume_lines, undo_lines
from mstore.staging.resume import ResumeResult
from mstore.text import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.render.style import Style


class PrintableCheckout(Printable, CheckoutResult):
    """The result of a checkout, as `Repository.checkout` gives it."""

    def _lines(self, style: Style) -> Iterator[str]:
        yield from checkout_lines(self, style)
        yield from (f"warning: {escaped(warning)}" for warning in self.warnings)


class PrintableResume(Printable, ResumeResult):
    """The result of a resume, as `Repository.resume` gives it."""

    def _lines(self, style: Style) -> Iterator[str]:
        yield from resume_lines(self, style)
        yield from (f"warning: {escaped(warning)}" for warning in self.warnings)


class PrintableUndo(Printable, Undone):
    """The result of an undo, as `Repository.undo` gives it."""

    def _lines(self, style: Style) -> Iterator[str]:
        yield from undo_lines(self, style)
