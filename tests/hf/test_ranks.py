"""Two ranks over gloo: rank 0 waits for the other's files, and commits once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parent / "two_ranks.py"


def test_rank_0_waits_for_every_ranks_files(repo: Any, home: Path, base_folder: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
            *(str(SCRIPT), str(base_folder), str(home)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(repo.branches()) == {"out"}
    entries = repo.log("out")
    assert [e.step for e in entries] == [2, 1]
    for entry in entries:
        paths = {f.path for f in repo.manifest(entry.id.hex).files}
        assert {"rng_state_0.pth", "rng_state_1.pth"} <= paths
