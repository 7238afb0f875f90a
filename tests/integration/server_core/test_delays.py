"""Runs that are not to start yet: by a time, or by seconds from the submit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gyoza.server.errors import InvalidInput
from tests.integration.server_core.world import World


def test_a_delay_counts_from_the_submit_by_the_servers_clock(world: World) -> None:
    world.worker()

    run = world.submit(due_in_s=90.0)

    assert run.due_at == world.clock.now() + timedelta(seconds=90)
    assert world.dispatch() == []

    world.clock.advance(90.0)

    assert world.dispatch() == []  # the worker was silent for long
    world.worker(session="s2")
    assert world.dispatch() == [run.id]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"due_in_s": -1.0}, "expected 0 to 315360000 seconds"),
        ({"due_in_s": 1e300}, "expected 0 to 315360000 seconds"),
        ({"due_in_s": 5.0, "due_at": "2031-05-04T09:08:07Z"}, "not both"),
    ],
)
def test_a_delay_without_sense_is_refused(world: World, given: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        world.submit(**given)

    assert [fault.pointer for fault in refused.value.faults] == ["/due_in_s"]
    assert told in refused.value.faults[0].message
