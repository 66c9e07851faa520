"""Processes and what they take; figures and what was promised of them.

Hides how a command's CPU seconds and anonymous memory are found. Every ratio is a
median of ratios taken within one round, because machines are shared and disks drift:
the medians of two columns of times would compare different hours.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).resolve().parent


class Failed(Exception):
    """A command that was to be measured did not succeed."""


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Args:
        name: what it is.
        value: what was measured.
        unit: of `value` and of the bounds.
        target: the bound that was promised, or None.
        stretch: the bound that was hoped for, or None.
        at_least: the bounds are lower ones (a speed), not upper ones.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    stretch: float | None = None
    at_least: bool = False

    def _within(self, bound: float) -> bool:
        return self.value >= bound if self.at_least else self.value <= bound

    @property
    def met(self) -> str:
        """Whether the target was met, for people; empty where there is none."""
        if self.target is None:
            return ""
        if not self._within(self.target):
            return "**missed**"
        return (
            "met, and the stretch" if self.stretch is not None and self._within(self.stretch) else "met"
        )

    @property
    def bound(self) -> str:
        """The target, for people; empty where there is none."""
        if self.target is None:
            return ""
        stretch = f" (stretch {shown(self.stretch)})" if self.stretch is not None else ""
        return f"{'≥' if self.at_least else '≤'} {shown(self.target)} {self.unit}{stretch}"

    @property
    def text(self) -> str:
        """Value and unit, for people."""
        return f"{shown(self.value)} {self.unit}"


def shown(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}"


@dataclass(frozen=True)
class Bar:
    """One bar of the chart.

    Args:
        panel: the bars that stand together.
        label: what it is.
        value: how long it is, in the panel's unit.
        own: it is mstore's.
    """

    panel: str
    label: str
    value: float
    own: bool = False


@dataclass
class Part:
    """What one part of the benchmark found: figures, bars of the chart, and remarks."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(
        self,
        name: str,
        value: float,
        unit: str,
        target: float | None = None,
        *,
        stretch: float | None = None,
        at_least: bool = False,
    ) -> None:
        """Add a figure."""
        self.figures.append(Figure(name, value, unit, target, stretch, at_least))


@dataclass(frozen=True)
class Bench:
    """What a part is given.

    Args:
        root: an empty folder of its own.
        common: a folder for what several parts use, made by the first.
        bin: where `mstore` lies, as a user has it after `pip install .`.
        library: a folder with the same mstore alone, for PYTHONPATH.
        rounds: how often everything large is measured.
        small: only try the script.
        many: commits of the long history.
        peers_large: peers take the 2.2 GB workload too.
    """

    root: Path
    common: Path
    bin: Path
    library: Path
    rounds: int
    small: bool
    many: int
    peers_large: bool

    def within(self, name: str) -> Bench:
        """The same, in a folder of its own."""
        root = self.root / name
        root.mkdir()
        return replace(self, root=root)

    def mstore(self, *arguments: str) -> tuple[str, ...]:
        """The command line of an mstore command."""
        return (str(self.bin / "mstore"), *arguments)


def install(scratch: Path) -> tuple[Path, Path]:
    """Install the project the plain way into a fresh environment.

    A copy is built, so that neither the checkout nor what lies in its build folder plays a part;
    an editable install would pay for its import hooks, and the packages beside it, in every start.

    Returns:
        Its `bin`, and a folder with its mstore alone.
    """
    source, library = scratch / "source", scratch / "library"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        if (HERE.parent / name).exists():
            shutil.copy(HERE.parent / name, source)
    leave_out = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(HERE.parent / "mstore", source / "mstore", ignore=leave_out)
    programs = environment(source, scratch / "venv")
    library.mkdir()
    [installed] = programs.parent.glob("lib/python*/site-packages/mstore")
    (library / "mstore").symlink_to(installed)
    return programs, library


def machine() -> str:
    """What was measured on, without naming anybody's machine."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores ({model}), {memory:.0f} GiB of memory, {platform.system()} {platform.release()}"
    )


def environment(source: Path, folder: Path) -> Path:
    """Install a source folder into a fresh environment; gives its `bin`."""
    run(sys.executable, "-m", "venv", str(folder))
    python = str(folder / "bin/python")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(source))
    run(python, "-m", "compileall", "-q", str(folder / "lib"))
    return folder / "bin"


# ---------------------------------------------------------------- processes


@dataclass(frozen=True)
class Ran:
    """What one process took: wall and CPU seconds (its own and its children's)."""

    wall_s: float
    cpu_s: float

    def __add__(self, other: Ran) -> Ran:
        return Ran(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s)


def run(*command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ran:
    """Run a command; its output is thrown away.

    Raises:
        Failed: it did not succeed; with the end of what it complained of.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()[-600:]
        raise Failed(f"`{' '.join(command)}` left with {done.returncode}: {said}")
    return Ran(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def synced(*command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ran:
    """Run a command and then `sync`, timed together. Raises Failed."""
    return run("sh", "-c", '"$@" && sync', "sh", *command, cwd=cwd, env=env)


def synced_copy(source: Path, target: Path) -> Ran:
    """`cp -r` and `sync`. Raises Failed."""
    return synced("cp", "-r", str(source), str(target))


def peak_anonymous(command: tuple[str, ...], cwd: Path) -> int:
    """The most anonymous memory that a command had, in bytes, sampled 100 times a second.

    Pages of mapped files are not counted: the kernel takes them back when it wants.

    Raises:
        Failed: it did not succeed.
    """
    with subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        complaints: list[bytes] = []
        assert process.stderr is not None
        reader = threading.Thread(target=lambda: complaints.append(process.stderr.read()))  # type: ignore[union-attr]
        reader.start()
        peak = 0
        while process.poll() is None:
            peak = max(peak, _anonymous(process.pid))
            time.sleep(0.01)
        reader.join()
    if process.returncode != 0:
        said = b"".join(complaints).decode(errors="replace").strip()[-600:]
        raise Failed(f"`{' '.join(command)}` left with {process.returncode}: {said}")
    return peak


def _anonymous(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def bytes_in(*places: Path) -> int:
    """Bytes of the files under some folders; a file with two names counts once."""
    seen: dict[tuple[int, int], int] = {}
    for place in places:
        for folder, _, names in os.walk(place):
            for name in names:
                stat = os.lstat(os.path.join(folder, name))
                seen[stat.st_dev, stat.st_ino] = stat.st_size
    return sum(seen.values())


def same_bytes(one: Path, other: Path) -> None:
    """Compare two files. Raises Failed: they differ."""
    run("cmp", str(one), str(other))


# ---------------------------------------------------------------- rounds


class Rounds:
    """Values by name, one a round."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = defaultdict(list)

    def add(self, name: str, value: float) -> None:
        """Take the value of this round."""
        self._values[name].append(value)

    def median(self, name: str) -> float:
        """The median over the rounds."""
        return statistics.median(self._values[name])

    def ratio(self, name: str, against: str) -> float:
        """The median of the ratios within each round."""
        pairs = zip(self._values[name], self._values[against], strict=True)
        return statistics.median(a / b for a, b in pairs)
