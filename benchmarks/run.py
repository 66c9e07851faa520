"""Measures mstore, in one interleaved run; writes docs/benchmarks.md, its chart, and latest.json.

    make bench                           everything that is installed
    python benchmarks/run.py --small     tries the script in a few minutes; nothing is recorded
    python benchmarks/run.py --only large --only many
    python benchmarks/run.py --only earlier --record    what is measured now joins what is recorded
    python benchmarks/run.py --peers-large    peers take the 2.2 GB workload too

Needs the development extras and about 25 GB of free disk in the temporary folder (TMPDIR).
Machines are shared and disks drift, so that only ratios within one round mean anything: each
round does every large measurement once, and the median of the ratios counts. Every write is
synced. What is missed is reported like what is met, and what fails like both.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from chart import chart
from earlier import earlier
from kernel import kernel
from large import large
from many import many
from measure import HERE, Bar, Bench, Figure, Part, install, machine
from peers import PEERS, peers
from series import series
from startup import startup
from training import training

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS: dict[str, Callable[[Bench], Part]] = {
    "startup": startup,
    "earlier": earlier,
    "large": large,
    "series": series,
    "kernel": kernel,
    "peers": peers,
    "many": many,
    "training": training,
}
_PACKAGES = ("mstore", "numpy", "zstandard", "blake3", "click", "torch", "transformers", "peft")


def _file_system(folder: Path) -> str:
    place, found = folder.resolve(), {}
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mounted, kind, *_ = line.split()
        if place.is_relative_to(mounted):
            found[len(mounted)] = kind
    return found[max(found)] if found else "unknown"


def _versions(home: Path) -> dict[str, str]:
    found = {}
    alone = {**os.environ, "HOME": str(home)}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    for peer in PEERS:
        if peer.version and all(shutil.which(program) for program in peer.needs):
            done = subprocess.run(peer.version, capture_output=True, text=True, check=False, env=alone)
            lines = (done.stdout or done.stderr).strip().splitlines()
            found[peer.name] = lines[0] if lines else "unknown"
    return found


def facts(bench: Bench) -> dict[str, str]:
    """Machine, versions, date."""
    told = subprocess.run(bench.mstore("--version"), capture_output=True, text=True, check=False)
    return {
        "date": date.today().isoformat(),
        "machine": machine(),
        "file system": _file_system(bench.root),
        "python": platform.python_version(),
        "mstore --version": " ".join(told.stdout.split()),
        "rounds": str(bench.rounds),
        **_versions(bench.root),
    }


def report(parts: list[Part], about: dict[str, str]) -> str:
    """docs/benchmarks.md."""
    packages = ", ".join(f"{name} {about[name]}" for name in _PACKAGES)
    tools = "; ".join(f"{p.name}: {about[p.name]}" for p in PEERS if p.name in about)
    bound = [f for part in parts for f in part.figures if f.target is not None]
    missed = [f for f in bound if "missed" in f.met]
    sections = []
    for part in parts:
        rows = [f"| {f.name} | {f.text} | {f.bound} | {f.met} |" for f in part.figures]
        table = ["| figure | measured | target | |", "|---|---|---|---|", *rows, ""] if rows else []
        remarks = [f"- {' '.join(remark.split())}" for remark in part.remarks]
        sections.append("\n".join([f"## {part.title}", "", *table, *remarks]).rstrip() + "\n")
    list_of_missed = "\n".join(f"- {f.name}: {f.text}, target {f.bound}" for f in missed)
    missed_text = f"Missed:\n\n{list_of_missed}\n" if missed else "None was missed.\n"
    return f"""\
# Measurements

Made by `make bench` (benchmarks/run.py) on {about["date"]}.

- Machine: {about["machine"]}, {about["file system"]}
- Python {about["python"]}, {packages}
- Peers: {tools or "none that says its version is installed here"}
- `mstore --version`: {about["mstore --version"]}; by `pip install .` in a fresh environment

Machines are shared and disks drift: only ratios within one round mean anything. Rounds:
{about["rounds"]}. Each did every large measurement once, beside `cp -r` + `sync` of the same folder,
who goes first in turns; the medians of the rounds' ratios are shown. Every write was synced,
mstore's own fsyncs included, and every checkout compared byte for byte. Files were read from
the page cache.
The 2.2 GB model has TinyLlama's shape and random weights in bf16: its times mean something, its
sizes do not (for those, the real series).

{len(bound)} figures have a target; why some are missed is in
[design/006](design/006-speed.md). {missed_text}
![chart](benchmarks.svg)

{chr(10).join(sections)}"""


def _print(part: Part) -> None:
    print(f"\n{part.title}")
    for figure in part.figures:
        target = f"{figure.bound} {figure.met}" if figure.target is not None else ""
        print(f"  {figure.name:72} {figure.text:>12}  {target}".rstrip())
    for remark in part.remarks:
        print(f"  - {remark}")


def _measured(bench: Bench, names: list[str]) -> tuple[list[Part], bool]:
    """Every part that was asked for; False if one of them broke."""
    parts, well = [], True
    for name in names:
        began = time.perf_counter()
        try:
            part = PARTS[name](bench.within(name))
        except Exception as error:
            well = False
            part = Part(name)
            part.remarks.append(f"**Broke, nothing measured**: {type(error).__name__}: {error}")
        shutil.rmtree(bench.root / name, ignore_errors=True)
        _print(part)
        print(f"  ({name}: {time.perf_counter() - began:.0f} s)", flush=True)
        parts.append(part)
    return parts, well


def _among_recorded(measured: list[Part]) -> tuple[dict[str, str], list[Part]]:
    """Put parts that were measured now in among those that a whole run recorded."""
    recorded = json.loads((HERE / "latest.json").read_text())
    parts = {
        part["title"]: Part(
            part["title"],
            [Figure(**figure) for figure in part["figures"]],
            [Bar(**bar) for bar in part["bars"]],
            part["remarks"],
        )
        for part in recorded["parts"]
    }
    parts |= {part.title: part for part in measured}
    return recorded["about"], list(parts.values())


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--small", action="store_true", help="small models, few steps, one round")
    parser.add_argument(
        "--only", action="append", choices=tuple(PARTS), help="this part alone; repeatable"
    )
    parser.add_argument(
        "--record", action="store_true", help="with --only: put these parts in among those recorded"
    )
    parser.add_argument("--rounds", type=int, help="default: 3")
    parser.add_argument(
        "--many", type=int, help="versions in the long history; default: 10,000 (six minutes)"
    )
    parser.add_argument("--peers-large", action="store_true", help="peers take the 2.2 GB workload too")
    parser.add_argument(
        "--out",
        type=Path,
        help="record into this folder; default: docs/ and benchmarks/ after a whole run, else nowhere",
    )
    options = parser.parse_args()
    out = options.out.absolute() if options.out else None
    scratch = Path(tempfile.mkdtemp(prefix="mstore-bench-"))
    try:
        began = time.perf_counter()
        programs, library = install(scratch)
        # What is measured inside this process is the same build as the command.
        sys.path.insert(0, str(library))
        os.chdir(scratch)
        (scratch / "common").mkdir()
        bench = Bench(
            root=scratch,
            common=scratch / "common",
            bin=programs,
            library=library,
            rounds=options.rounds or (1 if options.small else 3),
            small=options.small,
            many=options.many or (200 if options.small else 10_000),
            peers_large=options.peers_large,
        )
        about = facts(bench)
        print("; ".join(f"{name} {what}" for name, what in about.items()))
        print(f"(install: {time.perf_counter() - began:.0f} s)", flush=True)
        parts, well = _measured(bench, options.only or list(PARTS))
        print(f"\n({time.perf_counter() - began:.0f} s in all)")
    finally:
        os.chdir(HERE)
        shutil.rmtree(scratch, ignore_errors=True)
    if options.record and options.only and well:
        about, parts = _among_recorded(parts)
    whole = options.record or not (options.small or options.only)
    if whole or out:
        docs, here = (out, out) if out else (HERE.parent / "docs", HERE)
        docs.mkdir(parents=True, exist_ok=True)
        (docs / "benchmarks.md").write_text(report(parts, about))
        (docs / "benchmarks.svg").write_text(chart([bar for part in parts for bar in part.bars]))
        recorded = {"about": about, "parts": [asdict(part) for part in parts]}
        (here / "latest.json").write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n")
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
