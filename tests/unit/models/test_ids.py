from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gyoza.models.ids import new_id

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def decoded(identifier: str) -> uuid.UUID:
    digits = identifier.partition("_")[2]
    assert len(digits) == 26
    number = 0
    for digit in digits:
        number = number * 32 + ALPHABET.index(digit)
    return uuid.UUID(int=number)


@given(moment=MOMENTS, seed=st.integers())
def test_an_id_is_a_uuid7_that_carries_its_moment(moment: datetime, seed: int) -> None:
    carried = decoded(new_id("run", now=moment, random_bytes=random.Random(seed).randbytes))

    assert (carried.version, carried.variant) == (7, uuid.RFC_4122)
    since_epoch = moment - datetime(1970, 1, 1, tzinfo=UTC)
    assert carried.int >> 80 == since_epoch // timedelta(milliseconds=1)


@given(moments=st.lists(MOMENTS, unique=True))
def test_ids_sort_by_the_microsecond_they_were_made(moments: list[datetime]) -> None:
    ids = {moment: new_id("run", now=moment) for moment in moments}

    assert sorted(ids.values()) == [ids[moment] for moment in sorted(moments)]


def test_a_seed_replays_the_same_ids() -> None:
    moment = datetime(2031, 1, 1, tzinfo=UTC)

    first, second = (
        new_id("wrk", now=moment, random_bytes=random.Random(7).randbytes) for _ in range(2)
    )

    assert first == second
    assert new_id("wrk", now=moment) != new_id("wrk", now=moment)


def test_the_underscore_of_the_prefix_may_be_left_out() -> None:
    assert [new_id(prefix)[:4] for prefix in ("run", "run_")] == ["run_", "run_"]
    assert new_id("run_").count("_") == 1
