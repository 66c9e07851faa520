"""Moments, as objects hold them."""

from __future__ import annotations

from typing import Any

from mstore.errors import BadEncoding
from mstore.frozen import frozen
from mstore.objects.keys import MAX_INTEGER


@frozen(slots=True, order=True)
class Time:
    """A moment: nanoseconds since 1970 UTC, and the zone in minutes east of UTC."""

    ns: int
    zone_minutes: int

    @classmethod
    def now(cls) -> Time:
        """Read the clock, in the local zone."""
        import time

        ns = time.time_ns()
        return cls(ns, time.localtime(ns // 10**9).tm_gmtoff // 60)

    def iso(self) -> str:
        """Format as RFC 3339, to the second, in its own zone."""
        import time

        try:
            local = time.gmtime(self.ns // 10**9 + self.zone_minutes * 60)
        except (OverflowError, ValueError, OSError):
            return f"@{self.ns}"
        hours, minutes = divmod(abs(self.zone_minutes), 60)
        sign = "-" if self.zone_minutes < 0 else "+"
        return time.strftime("%Y-%m-%dT%H:%M:%S", local) + f"{sign}{hours:02d}:{minutes:02d}"

    def to_pair(self) -> list[int]:
        """Return `[ns, zone]`, as objects hold it."""
        return [self.ns, self.zone_minutes]

    @classmethod
    def from_pair(cls, value: Any, what: str) -> Time:
        """Read `[ns, zone]`. Raises BadEncoding."""
        if type(value) is not list or len(value) != 2 or any(type(n) is not int for n in value):
            raise BadEncoding(what, "a time must be [nanoseconds, zone]")
        if abs(value[0]) > MAX_INTEGER or abs(value[1]) > 24 * 60:
            raise BadEncoding(what, "a time is out of range")
        return cls(value[0], value[1])
