"""Which bounds apply to which shapes, and whether a value keeps them.

One list, read by the spec when it takes a `Field`, by the schema and by the decoder.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import re
from typing import Any, Final

from gyoza.op.errors import shown
from gyoza.op.fields import LENGTHS, LIMITS, NUMBERS, WORDS, Field
from gyoza.op.shapes import FileShape, Items, Mapping, OneOf, Scalar, Shape

KEYWORDS: Final = {
    "gt": "exclusiveMinimum",
    "ge": "minimum",
    "lt": "exclusiveMaximum",
    "le": "maximum",
    "pattern": "pattern",
}
_LENGTH_OF: Final = ((Scalar, "Length"), (Items, "Items"), (Mapping, "Properties"))
_APPLY_TO: Final = {
    **dict.fromkeys(NUMBERS, "int and float"),
    **dict.fromkeys(LENGTHS, "str, list, set, tuple[T, ...] and dict"),
    "pattern": "str",
    "media": "File, its subclasses and Path",
}


def applicable(shape: Shape) -> tuple[str, ...]:
    """Names of the bounds that mean something for the shape."""
    if isinstance(shape, Scalar):
        return {int: NUMBERS, float: NUMBERS, str: (*LENGTHS, "pattern")}.get(shape.python, ())
    if isinstance(shape, Items | Mapping):
        return LENGTHS
    return ("media",) if isinstance(shape, FileShape) else ()


def constrain(shape: Shape, field: Field) -> Shape:
    """Return the shape under more bounds and words; alternatives take what applies to each.

    Raises:
        ValueError: A bound applies nowhere in the shape, or no value could keep the bounds.
    """
    wrong = _problem(field)
    if wrong:
        raise ValueError(wrong)
    if isinstance(shape, OneOf):
        return _constrain_options(shape, field)
    _refuse_rest(field, applicable(shape))
    found = shape.with_field(field)
    wrong = _problem(found.field)
    if wrong:
        raise ValueError(wrong)
    return found


def _constrain_options(shape: OneOf, field: Field) -> Shape:
    taken = {name for option in shape.options for name in applicable(option)}
    _refuse_rest(field, tuple(taken))
    options = tuple(constrain(each, field.only(applicable(each))) for each in shape.options)
    return dataclasses.replace(shape.with_field(field.only(WORDS)), options=options)


def _refuse_rest(field: Field, names: tuple[str, ...]) -> None:
    for name, value in field.given().items():
        if name not in (*names, *WORDS):
            raise ValueError(
                f"Field({name}={value!r}) does not apply here; it applies to {_APPLY_TO[name]}"
            )


def _problem(field: Field) -> str:
    given = field.given()
    for name in NUMBERS:
        if name in given and not _is_finite(given[name]):
            return f"Field({name}={given[name]!r}): expected a finite number"
    for name in LENGTHS:
        if name in given and not (_is_whole(given[name]) and given[name] >= 0):
            return f"Field({name}={given[name]!r}): expected a whole number from 0"
    return _bad_pattern(field) or _empty_range(field)


def _bad_pattern(field: Field) -> str:
    try:
        re.compile(field.pattern or "")
    except (re.error, TypeError) as error:
        return f"Field(pattern={field.pattern!r}) is no regular expression: {error}"
    return ""


def _empty_range(field: Field) -> str:
    least = [bound for bound in (field.gt, field.ge) if bound is not None]
    most = [bound for bound in (field.lt, field.le) if bound is not None]
    is_open = field.gt is not None or field.lt is not None
    if least and most and (max(least) > min(most) or (is_open and max(least) == min(most))):
        return "no number can keep all of " + ", ".join(
            f"{name}={value!r}" for name, value in field.only(NUMBERS).given().items()
        )
    shortest, longest = field.min_length, field.max_length
    if shortest is not None and longest is not None and shortest > longest:
        return f"min_length={shortest} is more than max_length={longest}"
    return ""


def keywords(shape: Shape) -> dict[str, Any]:
    """The bounds of a shape as JSON Schema members."""
    kind = next((word for known, word in _LENGTH_OF if isinstance(shape, known)), "")
    names = {**KEYWORDS, "min_length": f"min{kind}", "max_length": f"max{kind}"}
    given = shape.field.only(LIMITS).given()
    return {names[name]: value for name, value in given.items() if name in applicable(shape)}


def broken(field: Field, value: Any) -> str:
    """Say which bound a decoded value breaks; "" when it keeps all."""
    if isinstance(value, int | float):
        return _broken_number(field, value)
    return _broken_length(field, value)


def _broken_number(field: Field, value: float) -> str:
    checks = (
        (field.gt, "greater than", operator.gt),
        (field.ge, "at least", operator.ge),
        (field.lt, "less than", operator.lt),
        (field.le, "at most", operator.le),
    )
    for bound, words, keeps in checks:
        if bound is not None and not keeps(value, bound):
            return f"got {shown(value)}, expected a number {words} {bound}"
    return ""


def _broken_length(field: Field, value: Any) -> str:
    unit = "characters" if isinstance(value, str) else "items"
    if field.min_length is not None and len(value) < field.min_length:
        return f"got {len(value)} {unit}, expected at least {field.min_length}"
    if field.max_length is not None and len(value) > field.max_length:
        return f"got {len(value)} {unit}, expected at most {field.max_length}"
    if field.pattern is not None and re.search(field.pattern, value) is None:
        return f"got {shown(value)}, expected text that matches {field.pattern}"
    return ""


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and not isinstance(value, bool)
