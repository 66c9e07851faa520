"""Every byte of a small store that lies in no pack, and random bits of its packs."""

from __future__ import annotations

from pathlib import Path

from tests.proofs.damage.flips import every_byte_but_packs, make_store, random_flips


def test_every_byte_of_refs_and_reflogs(tmp_path: Path) -> None:
    """Packs byte by byte are in test_flips.py."""
    contents = make_store(tmp_path, 1)
    missed, flips = [], 0
    for path, place, found, wrong in every_byte_but_packs(tmp_path, contents, every=5):
        flips += 1
        assert wrong is None, f"byte {place} of {path} is served silently"
        # In the name of the checksum itself a flip makes it absent, and what is said stays said.
        named = path.name == "store.json" and path.read_bytes()[place] in b'"sum"'
        if not found and not named:
            missed.append(f"byte {place} of {path.relative_to(tmp_path)}")
    assert not missed
    assert flips > 700


def test_random_flips_in_packs(tmp_path: Path) -> None:
    contents = make_store(tmp_path, 6)
    tally = random_flips(tmp_path, contents, 1500, seed=0, reads_every=100)
    assert tally.found == tally.flips == 1500, tally.missed
    assert not tally.silent
