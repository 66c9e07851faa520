"""The results of maintenance, printing themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.api.results.printable import Printable
from mstore.maintain.du import Usage
from mstore.maintain.forget import ForgetResult
from mstore.maintain.fsck import FsckResult
from mstore.maintain.gc_run import GcResult
from mstore.maintain.repack import RepackResult
from mstore.maintain.repair import RepairResult
from mstore.render.fsck import fsck_lines
from mstore.render.maintenance import forget_lines, gc_lines, repack_lines, repair_lines
from mstore.render.usage import usage_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.render.style import Style


class PrintableGc(Printable, GcResult):
    """The result of a gc, as `Repository.gc` gives it."""

    def _lines(self, style: Style) -> Iterator[str]:
        yield from gc_lines(self, style)


class PrintableForget(Printable, ForgetResult):
    """The result of a forget, as `Repository.forget` gives it."""

    def _lines(self, style: Style) -> Iterator[str]:
        yield from forget_lines(self, style)


class PrintableRepack(Printable, RepackResult):
    """The result of a repack, as `Repository.repack` gives it."""

    def _lines(self, style: Style) -> Iterator[str]:
        yield from repack_lines(self, style)


class PrintableRepair(Printable, RepairResult):
    """The result of a repair, as `Repository.repair` gives it."""

    def _lines(self, style: Style) -> Iterator[str]:
        yield from repair_lines(self, style)


class PrintableCheck(Printable, FsckResult):
    """The findings of a check, as `Repository.fsck` gives it."""

    def _lines(self, style: Style) -> Iterator[str]:
        yield from fsck_lines(self, style)


class PrintableUsage(Printable, Usage):
    """The cost of versions, as `Repository.du` gives it."""

    def _lines(self, style: Style) -> Iterator[str]:
        yield from usage_lines(self, style)
