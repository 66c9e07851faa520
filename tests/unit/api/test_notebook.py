"""What a notebook shows of a log, a diff and a comparison: static, escaped, with text beside it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore.api.repository import Repository
from tests.conftest import write_adapter

_HOSTILE = "<script>alert(1)</script>\x1b[31m & \x01red\x02 r8"


class _Reader(HTMLParser):
    """Tags and attributes met, and the text of each cell or line."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.attributes: set[str] = set()
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        self.attributes |= {f"{name}={value}" for name, value in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


class _Printer:
    """As much of IPython's pretty printer as objects may ask for."""

    def __init__(self) -> None:
        self.shown = ""

    def text(self, text: str) -> None:
        self.shown += text


def _pretty(value: Any) -> str:
    printer = _Printer()
    value._repr_pretty_(printer, False)
    return printer.shown


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    repo = mstore.init(tmp_path, model_dir=tmp_path / "out")
    for rank in (4, 8):
        write_adapter(tmp_path / "out", rank=rank, seed=rank)
        message = _HOSTILE if rank == 8 else "first"
        repo.commit(message=message, metrics={"eval_loss": 8 / rank}, metadata={"<b>": f"{rank}<i>"})
    return repo


def _check(value: Any, tags: set[str], *texts: str) -> None:
    page = _Reader(value._repr_html_())
    assert set(page.tags) == tags
    assert all(a.startswith("style=color: ") for a in page.attributes)
    assert not any(ord(c) < 32 and c != "\n" for c in "".join(page.texts))
    for text in texts:
        assert text in "".join(page.texts)
        assert text in _pretty(value)
    assert "\x1b" not in _pretty(value)


def test_a_log_is_a_table(repo: Repository) -> None:
    found = repo.log()
    shown = "<script>alert(1)</script>\\x1b[31m & \\x01red\\x02 r8"
    _check(found, {"table", "thead", "tbody", "tr", "th", "td"}, shown, "first", "8/16", "HEAD → main")
    assert [e.metrics["eval_loss"] for e in found] == [1.0, 2.0]
    assert found[:1] == (found[0],)
    assert "ago" not in found._repr_html_()
    assert _Reader(repo.log(limit=0)._repr_html_()).texts


def test_a_long_log_is_cut_and_says_so(repo: Repository) -> None:
    for number in range(103):
        repo.commit(message=f"n{number}", allow_empty=True)
    page = _Reader(repo.log()._repr_html_())
    assert page.tags.count("tr") == 101
    assert page.texts[-1] == "… and 5 more"
    assert str(repo.log()).splitlines()[-1] == "… and 5 more"


def test_a_diff_is_its_lines_with_colours(repo: Repository) -> None:
    found = repo.diff("HEAD~1", "HEAD")
    _check(found, {"pre", "span"}, "r 4 → 8", "<b>", "4<i> → 8<i>", "eval_loss")
    same: Any = repo.diff("HEAD", "HEAD")
    assert _Reader(same._repr_html_()).texts == ["no differences"] and _pretty(same) == "no differences"


def test_a_comparison_is_a_table(repo: Repository) -> None:
    found = repo.compare("HEAD~1", "HEAD")
    _check(
        found, {"table", "thead", "tbody", "tr", "th", "td"}, "<b>", "4<i>", "eval_loss", "\\x1b[31m"
    )
