"""The checker itself: quiet about a good story, loud about each way of breaking a promise."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.checker import INVARIANTS, check
from tests.simulation.journals import (
    RUN,
    SECOND,
    WORKER,
    Spoil,
    a_container,
    a_good_story,
    a_read,
    a_report,
    a_reservation,
    an_attempt,
    an_event,
    records,
    rows,
    spoiled,
)
from tests.simulation.recording import Record


def broken_by(*spoils: Spoil) -> set[str]:
    return {violation.invariant for violation in check(spoiled(*spoils))}


def set_run(story: list[Record], **facts: Any) -> None:
    rows(story, "op_runs")[0].update(facts)


def set_events(story: list[Record], *events: dict[str, Any]) -> None:
    rows(story, "events")[:] = events
    set_run(story, last_event=len(events))


def lose_the_run(story: list[Record]) -> None:
    for table in ("op_runs", "op_attempts", "events", "reservations"):
        rows(story, table).clear()


def double_the_run(story: list[Record]) -> None:
    rows(story, "op_runs").append({**rows(story, "op_runs")[0], "id": "run_2", "last_event": 0})


def lose_the_second_event(story: list[Record]) -> None:
    del rows(story, "events")[1]


def store_another_state(story: list[Record]) -> None:
    set_run(story, state="RUNNING")


def store_another_reason(story: list[Record]) -> None:
    set_run(story, reason="OOM")


def go_on_after_the_end(story: list[Record]) -> None:
    rows(story, "events").append(an_event(4, 25, "CANCELLED", reason="CANCELLED"))
    set_run(story, last_event=4, state="CANCELLED", reason="CANCELLED")


def open_again_unasked(story: list[Record]) -> None:
    set_events(
        story,
        an_event(1, 10, "ASSIGNED", worker_id=WORKER),
        an_event(2, 14, "FAILED", reason="USER_ERROR"),
        an_event(3, 25, "RETRIED", attempt=2),
    )
    rows(story, "op_attempts")[:] = [
        an_attempt(1, "FAILED", reason="USER_ERROR"),
        an_attempt(2, "PENDING"),
    ]
    set_run(story, state="PENDING", attempt=2)


def show_the_failure_in_between(story: list[Record]) -> None:
    open_again_unasked(story)
    rows(story, "events")[1] = an_event(2, 14, "FAILED", reason="USER_ERROR", final=False)


def be_read_as_failed_first(story: list[Record]) -> None:
    story.append(a_read(25, "FAILED"))


def assign_twice(story: list[Record]) -> None:
    set_events(
        story,
        an_event(1, 10, "ASSIGNED", worker_id=WORKER),
        an_event(2, 11, "ASSIGNED", worker_id=WORKER),
    )
    rows(story, "reservations").append(a_reservation(2, 11, 21))


def have_two_active_attempts(story: list[Record]) -> None:
    rows(story, "op_attempts")[:] = [an_attempt(1, "RUNNING"), an_attempt(2, "RUNNING")]


def take_a_write_after_the_end(story: list[Record]) -> None:
    story.append(a_report(25, digest="other"))


def take_a_write_of_another_worker(story: list[Record]) -> None:
    records(story, "net", call="report")[0]["worker"] = "wrk_2"


def take_a_write_under_an_unknown_fence(story: list[Record]) -> None:
    records(story, "net", call="report")[0]["fence"] = 7


def start_twice(story: list[Record]) -> None:
    story.append(a_container("start", 15))


def create_twice(story: list[Record]) -> None:
    story.append(a_container("create", 12.5, host="elsewhere"))


def run_two_side_by_side(story: list[Record]) -> None:
    story += [
        a_container("create", 14, name="c-2", fence=2, attempt=2),
        a_container("start", 15, name="c-2", fence=2, attempt=2),
    ]


def give_back_what_has_started(story: list[Record]) -> None:
    set_events(
        story,
        an_event(1, 10, "ASSIGNED", worker_id=WORKER),
        an_event(2, 14, "RELEASED"),
    )


def reserve_too_much(story: list[Record]) -> None:
    rows(story, "reservations").append(a_reservation(2, 12, 15, cpu=2))


def run_too_much(story: list[Record]) -> None:
    """Reserved one after the other, but the first container still runs."""
    rows(story, "reservations")[0].update(ram_mb=1024, freed_us=16 * SECOND)
    rows(story, "reservations").append(a_reservation(2, 16, 22, run_id="run_2"))
    story += [
        a_container("create", 17, name="c-2", run="run_2", fence=2),
        a_container("start", 18, name="c-2", run="run_2", fence=2),
    ]


def leave_a_reservation(story: list[Record]) -> None:
    rows(story, "reservations")[0]["freed_us"] = None


def leave_a_container(story: list[Record]) -> None:
    left = records(story, "left")[0]
    left["containers"].append({"name": "c-1", "run": RUN, "fence": 1})


def leave_a_folder(story: list[Record]) -> None:
    records(story, "left")[0]["folders"].append("run_1-1-1")


def leave_a_note(story: list[Record]) -> None:
    records(story, "left")[0]["unfinished"].append([RUN, 1])


def complete_without_output(story: list[Record]) -> None:
    rows(story, "op_attempts")[0]["outputs"] = "{}"


def complete_with_an_older_attempts_output(story: list[Record]) -> None:
    rows(story, "op_attempts")[0]["outputs"] = '{"run": "run_1", "attempt": 0}'


def show_output_before_the_end(story: list[Record]) -> None:
    story.append(a_read(18, "RUNNING", outputs={"run": RUN, "attempt": 1}))


def never_end(story: list[Record]) -> None:
    set_run(story, state="RUNNING")
    del rows(story, "events")[2]
    set_run(story, last_event=2)
    rows(story, "op_attempts")[0]["state"] = "RUNNING"


def fail_thrice(story: list[Record]) -> None:
    rows(story, "op_attempts")[:] = [
        an_attempt(number, "FAILED", reason="USER_ERROR") for number in (1, 2)
    ]


def fail_by_machinery_for_ever(story: list[Record]) -> None:
    rows(story, "op_attempts")[:] = [
        an_attempt(number, "FAILED", reason="WORKER_LOST", charged=0) for number in range(1, 8)
    ]


def fail_for_no_reason(story: list[Record]) -> None:
    rows(story, "op_attempts")[0]["state"] = "FAILED"


def fail_by(reason: str, **death: Any) -> Spoil:
    def spoil(story: list[Record]) -> None:
        rows(story, "events")[2] = an_event(3, 21, "FAILED", reason=reason)
        rows(story, "op_attempts")[0].update(state="FAILED", reason=reason)
        set_run(story, state="FAILED", reason=reason)
        records(story, "container", what="die")[0].update(death)

    return spoil


def start_too_early(story: list[Record]) -> None:
    set_run(story, tags='{"key": "key-1", "after": "run_0"}')


def start_after_a_failure(story: list[Record]) -> None:
    set_run(story, tags='{"key": "key-1", "after": "run_0"}')
    rows(story, "events").append({**an_event(1, 0, "FAILED"), "run_id": "run_0"})


def be_cancelled_for_nothing(story: list[Record]) -> None:
    set_run(story, tags='{"key": "key-1", "after": "run_0"}', reason="DEPENDENCY_FAILED")
    rows(story, "events").append({**an_event(1, 0, "COMPLETED"), "run_id": "run_0"})
    set_events(
        story,
        an_event(1, 21, "CANCELLED", reason="DEPENDENCY_FAILED"),
        *(row for row in rows(story, "events") if row["run_id"] != RUN),
    )


def lose_the_lease(story: list[Record]) -> None:
    words = f"worker {WORKER} was not heard of for 20 s"
    rows(story, "events")[2] = an_event(3, 21, "FAILED", reason="WORKER_LOST", msg=words)


def have_been_cut_off(story: list[Record]) -> None:
    cut = {"fault": "partition", "target": "host", "until": 20 * SECOND}
    story.append({"t": 1, "kind": "fault", **cut})


def have_the_server_come_back(story: list[Record]) -> None:
    story.append({"t": 5 * SECOND, "kind": "server", "what": "back"})


def complain(story: list[Record]) -> None:
    story.append({"t": 5, "kind": "complaint", "text": "a task died"})


STORIES: list[tuple[str, tuple[Spoil, ...]]] = [
    ("I1", (lose_the_run,)),
    ("I2", (double_the_run,)),
    ("I3", (lose_the_second_event,)),
    ("I3", (store_another_state,)),
    ("I3", (store_another_reason,)),
    ("I4", (go_on_after_the_end,)),
    ("I4", (open_again_unasked,)),
    ("I4", (show_the_failure_in_between,)),
    ("I4", (be_read_as_failed_first,)),
    ("I5", (assign_twice,)),
    ("I5", (have_two_active_attempts,)),
    ("I6", (take_a_write_after_the_end,)),
    ("I6", (take_a_write_of_another_worker,)),
    ("I6", (take_a_write_under_an_unknown_fence,)),
    ("I7", (start_twice,)),
    ("I7", (create_twice,)),
    ("I7", (run_two_side_by_side,)),
    ("I7", (give_back_what_has_started,)),
    ("I8", (reserve_too_much,)),
    ("I8", (run_too_much,)),
    ("I9", (leave_a_reservation,)),
    ("I9", (leave_a_container,)),
    ("I9", (leave_a_folder,)),
    ("I9", (leave_a_note,)),
    ("I12", (complete_without_output,)),
    ("I12", (complete_with_an_older_attempts_output,)),
    ("I12", (show_output_before_the_end,)),
    ("I13", (never_end,)),
    ("I14", (fail_thrice,)),
    ("I14", (fail_by_machinery_for_ever,)),
    ("I14", (fail_for_no_reason,)),
    ("I14", (fail_by("OOM", exit_code=137, oom=False),)),
    ("I14", (fail_by("USER_ERROR", exit_code=137, cause="engine"),)),
    ("I14", (fail_by("USER_ERROR", exit_code=0),)),
    ("CHAIN", (start_too_early,)),
    ("CHAIN", (start_after_a_failure,)),
    ("CHAIN", (be_cancelled_for_nothing,)),
    ("LEASE", (lose_the_lease,)),
    ("LEASE", (lose_the_lease, have_been_cut_off, have_the_server_come_back)),
    ("WORLD", (complain,)),
]


def test_a_story_in_which_every_promise_is_kept_breaks_none() -> None:
    assert check(a_good_story()) == []


@pytest.mark.parametrize(
    ("invariant", "spoils"), STORIES, ids=lambda each: getattr(each, "__name__", None)
)
def test_a_broken_promise_is_told(invariant: str, spoils: tuple[Spoil, ...]) -> None:
    assert invariant in broken_by(*spoils)


def test_every_invariant_has_a_story_that_breaks_it() -> None:
    assert {invariant for invariant, _ in STORIES} == set(INVARIANTS)


def test_a_result_that_comes_again_is_no_stale_write() -> None:
    def repeat(story: list[Record]) -> None:
        story.append(a_report(25))

    assert broken_by(repeat) == set()


def test_a_result_whose_first_answer_was_lost_may_come_again() -> None:
    def lose_the_first_answer(story: list[Record]) -> None:
        records(story, "net", call="report")[0]["status"] = "UNKNOWN"
        story.append(a_report(25))

    assert broken_by(lose_the_first_answer) == set()


def test_a_lease_that_ended_because_its_worker_was_cut_off_is_no_violation() -> None:
    assert "LEASE" not in broken_by(lose_the_lease, have_been_cut_off)
