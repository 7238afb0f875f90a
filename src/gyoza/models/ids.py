"""Identifiers: a prefix that tells the kind, and a UUIDv7 in Crockford's base32.

They sort by the time they were made (to the microsecond), hold no secret, and can be copied by
double click. Op ids and attempt ids are not made here: the first are people's names, the second
derive from the run's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from gyoza.models.timestamps import as_utc

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LENGTH = 26  # 128 bits in digits of five


def new_id(
    prefix: str,
    *,
    now: datetime | None = None,
    random_bytes: Callable[[int], bytes] | None = None,
) -> str:
    """Make a new time-ordered identifier such as ``run_01hx3k...``.

    Args:
        prefix: The kind, with or without its underscore: ``run`` and ``run_`` mean the same.
        now: The moment the id carries; None asks the clock.
        random_bytes: Gives the number of random bytes asked for (``random.Random(7).randbytes``
            makes ids that a seed can replay); None asks the operating system.

    Returns:
        The prefix, an underscore and 26 lowercase base32 digits.
    """
    microseconds = (as_utc(now) - _EPOCH) // timedelta(microseconds=1)
    noise = int.from_bytes((random_bytes or os.urandom)(8), "big")
    return f"{prefix.removesuffix('_')}_{_base32(_uuid7(microseconds, noise))}"


def _uuid7(microseconds: int, noise: int) -> int:
    """Lay out RFC 9562 section 5.7, with the sub-millisecond part in rand_a (section 6.2)."""
    milliseconds, rest = divmod(microseconds, 1000)
    fraction = rest * 4096 // 1000
    head = (milliseconds & (1 << 48) - 1) << 16 | 0x7 << 12 | fraction
    tail = 0b10 << 62 | noise & (1 << 62) - 1
    return head << 64 | tail


def _base32(number: int) -> str:
    shifts = range(5 * (_LENGTH - 1), -1, -5)
    return "".join(_ALPHABET[number >> shift & 31] for shift in shifts)
