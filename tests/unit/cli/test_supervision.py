from __future__ import annotations

from gyoza.cli.supervision import QUICK_DEATHS, STEADY_AFTER_S, Restarts


def test_each_quick_death_in_a_row_doubles_the_pause_until_it_is_hopeless() -> None:
    restarts = Restarts()

    pauses = [restarts.pause_s(1.0) for _ in range(QUICK_DEATHS)]

    assert pauses == [1.0, 2.0, 4.0, 8.0, None]


def test_a_death_after_a_steady_life_counts_as_the_first() -> None:
    restarts = Restarts()
    for _ in range(QUICK_DEATHS - 1):
        restarts.pause_s(0.0)

    pauses = [restarts.pause_s(STEADY_AFTER_S), restarts.pause_s(0.0)]

    assert pauses == [0.5, 1.0]
