"""What every engine keeps of how long runs took."""

from __future__ import annotations

import math
from random import Random

import pytest

from gyoza.server.storage.records import RunTimes, source_of
from gyoza.server.storage.store import Store


def learned(store: Store, source: str, *seconds: float) -> RunTimes:
    for each in seconds:
        store.write_now(lambda uow, each=each: uow.run_times.learn(source, each))
    return store.read_now(lambda uow: uow.run_times.find_many([source]))[source]


def test_nothing_is_known_of_what_never_completed(store: Store) -> None:
    assert store.read_now(lambda uow: uow.run_times.find_many(["a@1"])) == {}


def test_the_first_run_is_all_that_is_known(store: Store) -> None:
    times = learned(store, "a@1", 8.0)

    assert times.samples == 1
    assert times.typical_s == pytest.approx(8)
    assert times.at_most_s(2) == pytest.approx(8)


def test_the_first_few_count_alike_and_sources_do_not_mix(store: Store) -> None:
    learned(store, "b@1", 1000.0)

    times = learned(store, "a@1", 2.0, 8.0)

    assert times.typical_s == pytest.approx(4)
    assert times.log_variance == pytest.approx(math.log(2) ** 2)


def test_later_runs_outweigh_early_ones_when_an_op_becomes_slower(store: Store) -> None:
    learned(store, "a@1", *[1.0] * 50)

    times = learned(store, "a@1", *[100.0] * 50)

    assert times.typical_s > 95
    assert times.samples == 100


def test_two_deviations_cover_nearly_all_runs_of_a_usual_spread(store: Store) -> None:
    draw = Random(7)
    sample = [draw.lognormvariate(3, 0.4) for _ in range(300)]

    most = learned(store, "a@1", *sample).at_most_s(2)

    assert sum(each <= most for each in sample) > 0.9 * len(sample)


def test_a_run_shorter_than_a_millisecond_counts_as_one(store: Store) -> None:
    assert learned(store, "a@1", 0.0).typical_s == pytest.approx(0.001)


def test_a_source_is_the_version_of_an_op_or_an_image() -> None:
    assert source_of("count", "1.2", "busybox") == "count@1.2"
    assert source_of(None, None, "busybox") == "busybox"
