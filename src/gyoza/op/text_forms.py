"""Values that JSON writes as text: dates, times, durations, ids, exact decimals, bytes.

One table: how each is read, written and described. Reading is as strict as the form's standard,
whatever Python's own constructors let pass.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

_DATE: Final = r"\d{4}-\d\d-\d\d"
_TIME: Final = r"\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)?"
_DURATION: Final = re.compile(
    r"(?P<sign>-?)P(?=[\dT])(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)(?:\.(?P<part>\d{1,6}))?S)?)?",
    re.ASCII,
)
DECIMAL_PATTERN: Final = r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"


@dataclass(frozen=True)
class TextForm:
    """One row of the table.

    Attributes:
        schema: The JSON Schema members beside `"type": "string"`.
        read: Text to value; raises ValueError, OverflowError or ArithmeticError.
        write: Value to text; raises ValueError for a value without one.
        expected: For messages, with an example.
    """

    schema: dict[str, Any]
    read: Callable[[str], Any]
    write: Callable[[Any], str]
    expected: str


def _matching(pattern: str, text: str) -> str:
    if re.fullmatch(pattern, text, re.ASCII) is None:
        raise ValueError(text)
    return text


def _clock_text(text: str) -> str:
    # Python 3.10 knows neither `Z` nor fractions of other than 3 or 6 digits.
    plain = re.sub(r"[Zz]$", "+00:00", text)
    return re.sub(r"\.(\d+)", lambda found: f".{found[1]:0<6}", plain)


def _read_datetime(text: str) -> datetime:
    return datetime.fromisoformat(_clock_text(_matching(f"{_DATE}[Tt ]{_TIME}", text)))


def _read_date(text: str) -> date:
    return date.fromisoformat(_matching(_DATE, text))


def _read_time(text: str) -> time:
    return time.fromisoformat(_clock_text(_matching(_TIME, text)))


def _read_duration(text: str) -> timedelta:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(text)
    names = ("weeks", "days", "hours", "minutes", "seconds")
    whole = timedelta(**{name: int(found[name] or 0) for name in names})
    length = whole + timedelta(microseconds=int(f"{found['part'] or 0:0<6}"))
    return -length if found["sign"] else length


def _write_duration(value: timedelta) -> str:
    sign, length = ("-", -value) if value < timedelta() else ("", value)
    fraction = f".{length.microseconds:06}".rstrip("0") if length.microseconds else ""
    return f"{sign}P{length.days}DT{length.seconds}{fraction}S"


def _read_uuid(text: str) -> UUID:
    return UUID(_matching("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text))


def _read_decimal(text: str) -> Decimal:
    return Decimal(_matching(DECIMAL_PATTERN, text))


def _write_decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(f"{value} is no finite number")
    return str(value)


def _read_bytes(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii"), validate=True)


TEXT_FORMS: Final[dict[type, TextForm]] = {
    datetime: TextForm(
        {"format": "date-time"},
        _read_datetime,
        datetime.isoformat,
        "a date and time such as 2026-01-31T12:00:00Z",
    ),
    date: TextForm({"format": "date"}, _read_date, date.isoformat, "a date such as 2026-01-31"),
    time: TextForm({"format": "time"}, _read_time, time.isoformat, "a time such as 12:30:00"),
    timedelta: TextForm(
        {"format": "duration"}, _read_duration, _write_duration, "a duration such as PT1H30M"
    ),
    UUID: TextForm(
        {"format": "uuid"}, _read_uuid, str, "a UUID such as 123e4567-e89b-12d3-a456-426614174000"
    ),
    Decimal: TextForm(
        {"format": "decimal", "pattern": DECIMAL_PATTERN},
        _read_decimal,
        _write_decimal,
        'a decimal number as text such as "1.10"',
    ),
    bytes: TextForm(
        {"contentEncoding": "base64"},
        _read_bytes,
        lambda value: base64.b64encode(value).decode("ascii"),
        "bytes in base64",
    ),
}
