"""A short storm over real processes and a real engine; `just chaos --minutes 5` is the long one."""

from __future__ import annotations

import pytest

from tests.chaos.storm import storm
from tests.support.engine import require_engine


@pytest.mark.system
@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(420)
def test_no_promise_is_broken_while_real_processes_are_killed_and_frozen() -> None:
    require_engine().close()

    came = storm(minutes=0.4, seed=11)

    assert list(came.violations) == [], came.summary()
    assert came.runs >= 10, came.summary()
    assert sum(came.faults.values()) >= 5, came.summary()
