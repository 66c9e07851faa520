"""A plan shows itself as its text, where IPython or a notebook asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mstore.plan import Plan


@dataclass(frozen=True)
class Saying(Plan):
    """A plan that says something."""

    text: str

    def __str__(self) -> str:
        return self.text


class Printer:
    """What IPython gives: it takes text."""

    def __init__(self) -> None:
        self.said = ""

    def text(self, text: str) -> None:
        """Take some."""
        self.said += text


def test_a_prompt_shows_the_text_and_repr_the_value() -> None:
    plan, printer = Saying("two\nlines"), Printer()
    shows: Any = plan
    shows._repr_pretty_(printer, False)
    assert printer.said == "two\nlines" and repr(plan) == r"Saying(text='two\nlines')"


def test_a_notebook_shows_no_markup_and_no_controls_of_a_name() -> None:
    plan: Any = Saying("<b>\x1b & more\nlast")
    assert plan._repr_html_() == "<pre>&lt;b&gt;\\x1b &amp; more\nlast</pre>"
