"""Selectors: what a run asks of one tag of a worker, read from a short expression.

`a100` equal, `!=eu` another or none, `in a,b`, `not in a,b`, `>=16` and its like for numbers, `*`
there, `!` absent. A text that begins like an operator is asked for by `=` before it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

EXPECTED: Final = (
    "expected a value, !=value, in a,b, not in a,b, >=16, >16, <=16, <16, * (has the tag) or "
    "! (has it not); =value takes a value as it is"
)
_NUMBERS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_LISTS: Final = ("not in", "in")
_KNOWN: Final = 4096


class BadSelector(ValueError):
    """An expression that says nothing; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class Selector:
    """What is asked of one tag.

    Attributes:
        operator: One of = != in, not in, >= <= > < * and !.
        values: What the tag is compared with; () for `*` and `!`.
        number: The same for a comparison of numbers, else 0.
    """

    operator: str
    values: tuple[str, ...] = ()
    number: float = 0.0

    def matches(self, found: str | None) -> bool:
        """Whether a worker is asked for whose tag has this value; None has no such tag.

        A worker without the tag is none of those that `!=` and `not in` leave out.
        """
        if self.operator in _NUMBERS:
            has = None if found is None else _number(found)
            return has is not None and _NUMBERS[self.operator](has, self.number)
        if self.operator == "*":
            return found is not None
        if self.operator == "!":
            return found is None
        if self.operator in ("!=", "not in"):
            return found is None or found not in self.values
        return found in self.values

    def text(self, name: str) -> str:
        """Return the selector of a tag for people: "cores>=16", "zone in a,b", "no tag gpu"."""
        if self.operator == "*":
            return f"tag {name}"
        if self.operator == "!":
            return f"no tag {name}"
        blank = " " if self.operator in _LISTS else ""
        return f"tag {name}{blank}{self.operator}{blank}{','.join(self.values)}"


def parse(expression: str) -> Selector:
    """Read an expression.

    Raises:
        BadSelector: It begins like an operator and does not go on like one.
    """
    for sign in _NUMBERS:
        if expression.startswith(sign):
            return _comparison(sign, expression.removeprefix(sign).strip())
    for word in _LISTS:
        if expression == word or expression.startswith(f"{word} "):
            return _list(word, expression.removeprefix(word))
    if expression in ("*", "!"):
        return Selector(expression)
    if expression.startswith("!"):
        return _unlike(expression)
    # Without the sign, too: plain values are what nearly all selectors are.
    return Selector("=", (expression.removeprefix("="),))


@lru_cache(maxsize=_KNOWN)
def selector(expression: str) -> Selector:
    """Return an expression's selector, read once.

    What is no expression is a plain value: a run that was taken before there were any goes on to
    mean what it meant.
    """
    try:
        return parse(expression)
    except BadSelector:
        return Selector("=", (expression,))


def all_match(selectors: tuple[tuple[str, str], ...], tags: Mapping[str, str]) -> bool:
    """Whether tags are as all selectors, pairs of name and expression, ask for."""
    return all(selector(wanted).matches(tags.get(name)) for name, wanted in selectors)


def tags_for(selectors: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return the fewest tags with which a worker is one of those asked for, as far as can be."""
    found: dict[str, str] = {}
    for name, expression in selectors:
        wanted = selector(expression)
        if not wanted.matches(None):
            found[name] = _example(wanted)
    return found


def _comparison(sign: str, rest: str) -> Selector:
    number = _number(rest)
    if number is None:
        raise BadSelector(f"got {sign + rest!r}, expected a number behind {sign}, such as {sign}16")
    return Selector(sign, (rest,), number)


def _list(word: str, rest: str) -> Selector:
    values = tuple(part.strip() for part in rest.split(","))
    if not all(values):
        got = f"{word}{rest}"
        raise BadSelector(f"got {got!r}, expected values with commas between, such as {word} a,b")
    return Selector(word, values)


def _unlike(expression: str) -> Selector:
    value = expression.removeprefix("!=").strip()
    if not expression.startswith("!=") or not value:
        raise BadSelector(f"got {expression!r}, {EXPECTED}")
    return Selector("!=", (value,))


def _example(wanted: Selector) -> str:
    if wanted.operator == ">":
        return f"{wanted.number + 1:g}"
    if wanted.operator == "<":
        return f"{wanted.number - 1:g}"
    return wanted.values[0] if wanted.values else "yes"


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    # nan and infinities are numbers to Python alone, and so is 1_000.
    return number if number - number == 0 and "_" not in text else None
