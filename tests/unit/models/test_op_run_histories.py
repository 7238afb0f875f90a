"""Any sequence of calls keeps the promises that storage and workers rely on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gyoza.models import EventType, NewEvent, OpRun, OpRunLockedException, RetryPolicy
from gyoza.models.lifecycle import TABLE, Trigger, is_terminal, replay, trigger_of

ADDABLE = [
    kind
    for kind in EventType
    if trigger_of(kind) not in {Trigger.ASSIGN, Trigger.RELEASE, Trigger.RETRY}
]


class RunHistories(RuleBasedStateMachine):
    """Calls in any order, allowed or not, on one run."""

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2031, 1, 1, tzinfo=UTC)
        self.run = OpRun.create(
            "busybox", id="run_1", now=self.now, retry_policy=RetryPolicy(max_attempts=3)
        )
        self.history: list[NewEvent] = []
        self.highest_fence = 0

    def takes(self, trigger: Trigger) -> bool:
        return trigger in TABLE[self.run.state]

    @rule(milliseconds=st.integers(0, 5000))
    def time_passes(self, milliseconds: int) -> None:
        self.now += timedelta(milliseconds=milliseconds)

    @rule(worker=st.sampled_from(["wrk_1", "wrk_2"]))
    def assign(self, worker: str) -> None:
        if self.takes(Trigger.ASSIGN):
            self.run.assign(worker, now=self.now)
            assert self.run.current_attempt.fence == self.run.fence
        else:
            with pytest.raises((ValueError, OpRunLockedException)):
                self.run.assign(worker, now=self.now)

    @rule()
    def release(self) -> None:
        if self.takes(Trigger.RELEASE):
            self.run.release(now=self.now)
        else:
            with pytest.raises((ValueError, OpRunLockedException)):
                self.run.release(now=self.now)

    @rule(kind=st.sampled_from(ADDABLE), percent=st.integers(0, 100))
    def add_event(self, kind: EventType, percent: int) -> None:
        if self.takes(trigger_of(kind)):
            self.run.add_event(kind, percent, now=self.now)
        else:
            with pytest.raises((ValueError, OpRunLockedException)):
                self.run.add_event(kind, percent, now=self.now)

    @precondition(lambda self: self.takes(Trigger.START))
    @rule()
    def start(self) -> None:
        self.run.add_event(EventType.STARTED, "", now=self.now)

    @rule(charged=st.booleans())
    def fail(self, *, charged: bool) -> None:
        if self.takes(Trigger.FAIL):
            self.run.fail("no", reason="EXIT_CODE", charged=charged, now=self.now)

    @rule(force=st.booleans())
    def retry(self, *, force: bool) -> None:
        if force or self.run.can_retry():
            self.run.retry(force, now=self.now)
        else:
            with pytest.raises(ValueError, match="used its"):
                self.run.retry(force, now=self.now)

    @rule()
    def store(self) -> None:
        self.history += self.run.collect_events()
        self.run = OpRun.from_dict(json.loads(json.dumps(self.run.to_dict())))

    @invariant()
    def attempts_are_numbered_from_one_without_gaps(self) -> None:
        numbers = [attempt.attempt for attempt in self.run.attempts]
        assert numbers == list(range(1, len(numbers) + 1))

    @invariant()
    def only_the_current_attempt_can_be_open(self) -> None:
        assert all(is_terminal(attempt.state) for attempt in self.run.attempts[:-1])
        assert self.run.current_attempt is self.run.attempts[-1]
        assert self.run.current_attempt.state is self.run.state

    @invariant()
    def exactly_the_terminal_attempts_are_finished(self) -> None:
        for attempt in self.run.attempts:
            assert is_terminal(attempt.state) == (attempt.finished_at is not None)

    @invariant()
    def the_fence_never_decreases(self) -> None:
        assert self.run.fence >= self.highest_fence
        self.highest_fence = self.run.fence

    @invariant()
    def replaying_everything_collected_arrives_at_the_state(self) -> None:
        self.history += self.run.collect_events()
        assert replay(new.entry.type for new in self.history) is self.run.state


TestRunHistories = RunHistories.TestCase
