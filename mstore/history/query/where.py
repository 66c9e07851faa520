"""Conditions on versions, as `log --where` takes them: a small language, never run as code.

    eval_loss < 1.5 and r <= 8
    "rewards/accuracies" > 0.7 or not (message contains 'baseline')
    r in (4, 8) and 'q_proj' in adapter.targets

    condition   = conjunction ("or" conjunction)*
    conjunction = negation ("and" negation)*
    negation    = "not" negation | "(" condition ")" | comparison
    comparison  = operand [operator operand]         a name alone: it is true
    operator    = "<" "<=" ">" ">=" "==" "!=" "in" "not in" "contains"
    operand     = number | text | name | "true" | "false" | "none" | "nan" | "inf"
                | "(" operand ("," operand)* ")"     after "in" and "not in" only

Single quotes make a text. Double quotes make a name where a comparison needs one, and else a
text: left of an operator a name, right of it a text, unless its left side is a number or a
text in single quotes; of `in`, whose name is on the right, the other way round. A quote
inside is written twice. Words of the language are understood in capitals too.

A comparison with a name that has no value is false, whatever its operator; only `NAME == none`
asks for that. Values of different kinds are unequal and have no order; NaN equals NaN and
is neither less nor more than anything. Texts are compared by code points, capitals and all.

Knows nothing of versions: `Condition.holds` is given a function that looks up a name.
"""

from __future__ import annotations

import re
from typing import Any, Final, NoReturn

from mstore.errors import UsageError
from mstore.frozen import frozen
from mstore.history.query.quoting import QUOTED, unquoted
from mstore.history.query.where_ast import (
    KEYWORDS,
    LITERALS,
    ORDERS,
    Condition,
    Joined,
    Name,
    Not,
    Relation,
)
from mstore.text import escaped

_MAX_DEPTH: Final = 50
_MAX_CHARACTERS: Final = 10_000
_TOKEN: Final = re.compile(
    rf"""\s*(?:
        (?P<number> [-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]) | [-+](?:inf|nan)\b )
      | (?P<single> '(?:[^']|'')*' )
      | (?P<double> {QUOTED} )
      | (?P<word>   [^\W\d][\w.]* )
      | (?P<sign>   <= | >= | == | != | <> | && | \|\| | [<>=!(),] )
      | (?P<end>    \Z )
    )""",
    re.VERBOSE,
)
_COMPARISONS: Final = (*ORDERS, "==", "!=", "in", "contains")
_MEANT: Final = {"=": "==", "<>": "!=", "&&": "and", "||": "or", "!": "not"}


# -- reading


@frozen(slots=True)
class _Token:
    """A piece of the text: its kind, its text, and where it begins."""

    kind: str
    text: str
    at: int

    @property
    def word(self) -> str:
        """The keyword or sign that it is, or ''."""
        if self.kind == "sign":
            return self.text
        folded = self.text.casefold()
        return folded if self.kind == "word" and folded in KEYWORDS else ""

    @property
    def content(self) -> str:
        """The text between quotes."""
        return unquoted(self.text)


def parse(text: str) -> Condition:
    """Read a condition.

    Raises:
        UsageError: it cannot be read; the message shows where.
    """
    if len(text) > _MAX_CHARACTERS:
        raise UsageError(f"a condition has at most {_MAX_CHARACTERS} characters")
    return _Reader(text).whole()


class _Reader:
    """Reads a condition from left to right, one token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[_Token] = []
        position = 0
        while not self._tokens or self._tokens[-1].kind != "end":
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                self._cannot_begin(position)
            kind = match.lastgroup
            self._tokens.append(_Token(kind, match[kind], match.start(kind)))
            position = match.end()
        self._at = 0

    def _cannot_begin(self, position: int) -> NoReturn:
        while self._text[position].isspace():
            position += 1
        what = self._text[position]
        if what in "'\"":
            self._fail(position, f"the quote {what} is never closed")
        if what.isdigit():
            self._fail(position, "this is neither a number nor a name", "text goes in single quotes")
        self._fail(
            position,
            f"{what!r} means nothing here",
            'a name with such signs goes in double quotes: "a/b"',
        )

    def _fail(self, position: int, what: str, hint: str | None = None) -> NoReturn:
        """Raise an error that shows the text and a caret under the character."""
        before = escaped(self._text[:position])
        raise UsageError(
            f"condition, character {position + 1}: {what}"
            f"\n  {escaped(self._text)}\n  {' ' * len(before)}^",
            hint=hint,
        )

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        return token

    def _took(self, *words: str) -> bool:
        """Take the next token if it is one of these, and return whether it was."""
        if self._next.word not in words or not self._next.word:
            return False
        self._at += 1
        return True

    def whole(self) -> Condition:
        """Read the whole text as a condition."""
        if self._next.kind == "end":
            self._fail(0, "the condition is empty", "for example: eval_loss < 1.5 and r <= 8")
        condition = self._disjunction(0)
        token = self._next
        if token.kind != "end":
            meant = _MEANT.get(token.text)
            if meant:
                self._fail(token.at, f"write `{meant}` for `{token.text}`")
            if token.word in _COMPARISONS:
                self._fail(token.at, "a comparison has two sides", "join two with `and`")
            what = "this has no `(`" if token.word == ")" else "expected `and` or `or` here"
            hint = "text goes in single quotes, a name with signs or spaces in double quotes"
            self._fail(token.at, what, None if token.word == ")" else hint)
        return condition

    def _disjunction(self, depth: int) -> Condition:
        parts = [self._conjunction(depth)]
        while self._took("or"):
            parts.append(self._conjunction(depth))
        return parts[0] if len(parts) == 1 else Joined("or", tuple(parts))

    def _conjunction(self, depth: int) -> Condition:
        parts = [self._negation(depth)]
        while self._took("and"):
            parts.append(self._negation(depth))
        return parts[0] if len(parts) == 1 else Joined("and", tuple(parts))

    def _negation(self, depth: int) -> Condition:
        token = self._next
        if depth > _MAX_DEPTH:
            self._fail(token.at, f"this is nested more than {_MAX_DEPTH} deep")
        if self._took("not"):
            return Not(self._negation(depth + 1))
        if self._took("("):
            inner = self._disjunction(depth + 1)
            if not self._took(")"):
                self._fail(token.at, "this is never closed")
            return inner
        return self._comparison()

    def _comparison(self) -> Relation:
        left = self._take()
        self._check_operand(left)
        sign = self._next
        if sign.text in ("=", "<>"):
            self._fail(sign.at, f"write `{_MEANT[sign.text]}` for `{sign.text}`")
        if sign.word == "not":
            self._at += 1
            if not self._took("in"):
                self._fail(self._next.at, "`not` after a name is followed by `in`")
            asked = "not in"
        elif self._took(*_COMPARISONS):
            asked = sign.word
        else:
            name = self._operand(left, as_name=True)
            if not isinstance(name, Name):
                self._fail(sign.at, f"expected a comparison after {escaped(left.text)}")
            return Relation("==", name, True)
        return self._compared(left, asked, sign)

    def _compared(self, left: _Token, asked: str, sign: _Token) -> Relation:
        membership = asked in ("in", "not in")
        if membership and self._took("("):
            values = self._values(sign)
            name = self._operand(left, as_name=True)
            if not isinstance(name, Name):
                self._fail(left.at, "expected a name here: a number or text has no value to look up")
            return Relation(asked, name, values)
        right = self._take()
        self._check_operand(right)
        a = self._operand(left, as_name=not membership)
        b = self._operand(right, as_name=membership or left.kind in ("number", "single"))
        if not isinstance(a, Name) and not isinstance(b, Name):
            at, text = (right.at, right.text) if membership else (left.at, left.text)
            self._fail(
                at,
                f"{escaped(text)} is no name, and one side must be",
                "write a name without quotes, or in double quotes",
            )
        if asked not in ("==", "!=") and (a is None or b is None):
            self._fail(sign.at, "none is compared by == and != only")
        return Relation(asked, a, b)

    def _values(self, sign: _Token) -> tuple[Any, ...]:
        """Read the values in the parentheses after `in`."""
        values = []
        while True:
            token = self._take()
            self._check_operand(token)
            value = self._operand(token, as_name=False)
            if isinstance(value, Name):
                self._fail(token.at, "expected values here", "text goes in single quotes")
            values.append(value)
            if self._took(")"):
                return tuple(values)
            if not self._took(","):
                self._fail(self._next.at, f"expected `,` or `)` in the list after `{sign.text}`")

    def _check_operand(self, token: _Token) -> None:
        if token.kind in ("number", "single", "double") or token.word in LITERALS:
            return
        if token.kind != "word" or token.word:
            what = "at the end" if token.kind == "end" else f"in place of `{token.text}`"
            hint = None
            if token.kind == "word":
                hint = f'if it is the name of something, write "{token.text}"'
            self._fail(token.at, f"expected a name or a value {what}", hint)

    def _operand(self, token: _Token, *, as_name: bool) -> Any:
        """Read a name, or a value."""
        match token.kind:
            case "number":
                if any(c in token.text for c in ".eEin") or len(token.text) > 300:
                    return float(token.text)
                return int(token.text)
            case "single":
                return token.content
            case "double":
                return Name(token.content) if as_name else token.content
        return LITERALS[token.word] if token.word in LITERALS else Name(token.text)


__all__ = ["parse"]
