"""What people use today, on the same folders in the same run.

Each gets a repository and a working copy in the scratch folder, a home folder that is empty, and
no configuration but its own: nothing of the machine's is read or written, and nothing goes over
a network. Round after round each takes in the next version; every commit ends in `sync`.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import minilm
from large import workload
from measure import Bar, Bench, Failed, Part, Ran, bytes_in, run, synced

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MODEL = "model"


@dataclass(frozen=True)
class Peer:
    """A tool and how it is used.

    Args:
        name: for people.
        needs: programs that it takes.
        prepare: command lines that make an empty repository, run in its folder.
        commit: command lines that take in the folder `model` as version {n}.
        kept: folders of its own, besides the working copy.
        version: the command line that says its version; () for none.
    """

    name: str
    needs: tuple[str, ...]
    prepare: tuple[tuple[str, ...], ...]
    commit: tuple[tuple[str, ...], ...]
    kept: tuple[str, ...]
    version: tuple[str, ...] = ()


_GIT: tuple[tuple[str, ...], ...] = (
    ("git", "init", "--quiet"),
    ("git", "config", "user.name", "bench"),
    ("git", "config", "user.email", "bench@example.org"),
)
_GIT_COMMIT = (("git", "add", "."), ("git", "commit", "--quiet", "-m", "{n}"))


def _python_with(package: str) -> str:
    """The interpreter on PATH whose environment has a package; the package's name where none has."""
    for folder in os.get_exec_path():
        python = Path(folder, "python")
        if python.exists() and any(python.parent.parent.glob(f"lib/python*/site-packages/{package}")):
            return str(python)
    return package


# Oxen's package has no command: its calls are made one by one, as its documentation shows them.
_OXEN = (_python_with("oxen"), "-c")

PEERS = (
    Peer("cp -r", ("cp",), (("mkdir", "copies"),), (("cp", "-r", _MODEL, "copies/{n}"),), ("copies",)),
    Peer(
        "Git LFS",
        ("git", "git-lfs"),
        (*_GIT, ("git", "lfs", "install", "--local"), ("git", "lfs", "track", "*.safetensors")),
        _GIT_COMMIT,
        (".git",),
        ("git-lfs", "version"),
    ),
    Peer(
        "DVC",
        ("git", "dvc"),
        (*_GIT, ("dvc", "init", "--quiet"), ("dvc", "config", "core.analytics", "false")),
        (("dvc", "add", "--quiet", _MODEL), *_GIT_COMMIT),
        (".git", ".dvc"),
        ("dvc", "--version"),
    ),
    Peer(
        "restic",
        ("restic",),
        (("restic", "init", "--quiet", "--repo", "kept"),),
        (("restic", "backup", "--quiet", "--repo", "kept", _MODEL),),
        ("kept",),
        ("restic", "version"),
    ),
    Peer(
        "borg, zstd 1",
        ("borg",),
        (("borg", "init", "--encryption", "none", "kept"),),
        (("borg", "create", "--compression", "zstd,1", "kept::{n}", _MODEL),),
        ("kept",),
        ("borg", "--version"),
    ),
    Peer(
        "Oxen",
        (_OXEN[0],),
        (
            (*_OXEN, "import oxen; oxen.user.config_user('bench', 'bench@example.org')"),
            (*_OXEN, "import oxen; oxen.Repo('.').init()"),
        ),
        ((*_OXEN, f"import oxen; r = oxen.Repo('.'); r.add('{_MODEL}'); r.commit('{{n}}')"),),
        (".oxen",),
        (*_OXEN, "import oxen; print(oxen.__version__)"),
    ),
    Peer(
        "git-theta",
        ("git", "git-theta", "git-lfs"),
        (*_GIT, ("git", "theta", "install"), ("git", "theta", "track", "model/model.safetensors")),
        _GIT_COMMIT,
        (".git",),
        (
            _python_with("git_theta"),
            "-c",
            "import importlib.metadata as m; print(m.version('git-theta'))",
        ),
    ),
)


def _alone(home: Path) -> dict[str, str]:
    """An environment in which no configuration of this machine is found."""
    home.mkdir()
    kept = {
        k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "TMPDIR")
    }
    return {
        **kept,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "DVC_GLOBAL_CONFIG_DIR": str(home / "dvc"),
        "DVC_SYSTEM_CONFIG_DIR": str(home / "dvc-system"),
        "DVC_SITE_CACHE_DIR": str(home / "dvc-site"),
        "DVC_NO_ANALYTICS": "1",
        "GIT_THETA_CHECKPOINT_TYPE": "safetensors",
        "RESTIC_PASSWORD": "bench",
        "RESTIC_CACHE_DIR": str(home / "restic"),
        "BORG_BASE_DIR": str(home),
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
    }


@dataclass
class _Taking:
    """A peer at work: what it took so far, and why it stopped if it did."""

    peer: Peer
    root: Path
    environment: dict[str, str]
    took: list[Ran] = field(default_factory=list)
    failed: str = ""

    def _each(self, commands: Sequence[tuple[str, ...]], how: Callable[..., Ran], n: str) -> Ran:
        total = Ran(0.0, 0.0)
        for command in commands:
            filled = [argument.replace("{n}", n) for argument in command]
            total += how(*filled, cwd=self.root, env=self.environment)
        return total

    def prepare(self) -> None:
        """Make its repository."""
        self.root.mkdir()
        self._each(self.peer.prepare, run, "")

    def take(self, version: Path, n: str) -> None:
        """Take in a version; only that is timed, with a `sync` at its end."""
        if (self.root / _MODEL).exists():
            shutil.rmtree(self.root / _MODEL)
        shutil.copytree(version, self.root / _MODEL)
        run("sync")
        *first, last = self.peer.commit
        took = self._each(first, run, n)
        self.took.append(took + self._each([last], synced, n))

    @property
    def disk(self) -> int:
        """Bytes that it keeps."""
        return bytes_in(*(self.root / name for name in self.peer.kept))


def _compare(bench: Bench, part: Part, title: str, versions: list[Path]) -> dict[str, _Taking]:
    """One workload through every tool that is there."""
    root = bench.within(title.replace(" ", "-").replace(".", "_")).root
    alone = _alone(root / "home")
    own = Peer(
        "mstore",
        (),
        (bench.mstore("init"),),
        (bench.mstore("commit", _MODEL, "-m", "{n}"),),
        (".mstore",),
    )
    present = [peer for peer in PEERS if all(shutil.which(program) for program in peer.needs)]
    taking: list[_Taking] = []
    for number, peer in enumerate((own, *present)):
        taking.append(_Taking(peer, root / str(number), alone))
    for n, version in enumerate((None, *versions)):
        for one in taking:
            if one.failed:
                continue
            try:
                one.prepare() if version is None else one.take(version, str(n))
            except Failed as failed:
                one.failed = str(failed)
                part.remarks.append(f"{one.peer.name} did not get through ({title}): {failed}")
    raw = sum(bytes_in(version) for version in versions)
    part.add(f"{title}: raw bytes of {len(versions)} versions", raw / 1e6, "MB")
    panel = f"{title}: disk after {len(versions)} versions, MB, less is better"
    for one in taking:
        if one.failed:
            continue
        wall = [ran.wall_s for ran in one.took]
        part.add(f"{title}: {one.peer.name}, disk", one.disk / 1e6, "MB")
        part.add(f"{title}: {one.peer.name}, seconds of the first commit", wall[0], "s")
        part.add(
            f"{title}: {one.peer.name}, seconds of a later commit", sum(wall[1:]) / len(wall[1:]), "s"
        )
        cpu = sum(ran.cpu_s for ran in one.took)
        part.add(f"{title}: {one.peer.name}, CPU seconds a GB", cpu / raw * 1e9, "s")
        part.bars.append(Bar(panel, one.peer.name, one.disk / 1e6, own=one.peer is own))
    return {one.peer.name: one for one in taking if not one.failed}


def peers(bench: Bench) -> Part:
    """mstore and its peers on the real series, and on the 2.2 GB workload if that was asked for."""
    part = Part("Against what people use")
    found = [("MiniLM fp32", _compare(bench, part, "MiniLM fp32", minilm.main_run(bench)))]
    if bench.peers_large:
        models = workload(bench)
        versions = [models / step for step in ("new", "last", "all")]
        found.append(("2.2 GB", _compare(bench, part, "2.2 GB", versions)))
    for title, through in found:
        for name in ("restic", "borg, zstd 1"):
            if name in through and "mstore" in through:
                theirs, ours = (sum(r.cpu_s for r in through[n].took) for n in (name, "mstore"))
                label = f"{title}: CPU seconds of {name} ÷ mstore's"
                part.add(label, theirs / ours, "×", 2.0, at_least=True)
    for peer in PEERS:
        missing = [program for program in peer.needs if shutil.which(program) is None]
        if missing:
            part.remarks.append(
                f"{peer.name} is not installed here ({', '.join(missing)}): not measured."
            )
    return part
