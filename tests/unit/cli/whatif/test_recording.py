from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from gyoza.cli.whatif.documents import read_load
from gyoza.cli.whatif.recording import present_fleet, record_load, write_recording
from gyoza.models import Constraints, Execution, OpRun, OpRunState
from gyoza.server.scheduling.snapshot import Shape
from gyoza.server.whatif.fleet import Box
from gyoza.wire.messages import Capacity, Gpu, WorkerView
from tests.support.run_documents import START


def a_run(at_s: float = 0.0, took_s: float | None = 30.0) -> OpRun:
    moment = START + timedelta(seconds=at_s)
    run = OpRun.create(
        "shell:1",
        constraints=Constraints(2, 1024, 8000),
        execution=Execution(selectors={"zone": "a"}, preemptible=True),
        owner="ann",
        priority=7,
        now=moment,
    )
    if took_s is not None:
        run.assign("wrk_1", now=moment + timedelta(seconds=5))
        run.current_attempt.started_at = moment + timedelta(seconds=6)
        run.current_attempt.finished_at = moment + timedelta(seconds=6 + took_s)
    assert run.state is not OpRunState.COMPLETED
    return run


def a_worker(state: str = "READY") -> WorkerView:
    return WorkerView(
        id="wrk_1",
        name="atlas",
        state=state,
        version="0",
        runtime="docker",
        capacity=Capacity(cpu=8, ram_mb=16_000, gpus=[Gpu("GPU-1", 24_576)]),
        reserved={},
        tags={"zone": "a"},
        runs=[],
        registered_at="",
        last_seen_at="",
    )


def test_runs_are_taken_with_what_they_needed_and_how_long_they_ran() -> None:
    load = record_load([a_run(60, 10), a_run(0, 30)], START)

    first, second = load.runs
    assert (first.submitted_s, second.submitted_s) == (0, 60)
    assert (first.duration_s, second.duration_s) == (30, 10)
    assert first.shape == Shape(2, 1024, 8000, (("zone", "a"),))
    assert (first.owner, first.priority, first.preemptible) == ("ann", 7, True)


def test_runs_from_before_are_not_taken_and_nothing_behind_them_is_read() -> None:
    def listed() -> object:
        yield a_run(60)
        yield a_run(-1)
        raise AssertionError("read on")

    load = record_load(listed(), START)  # pyright: ignore[reportArgumentType]

    assert len(load.runs) == 1


def test_runs_of_which_nobody_knows_how_long_they_take_are_counted() -> None:
    load = record_load([a_run(took_s=None), a_run()], START)

    assert len(load.runs) == 1
    assert load.left_out == ("1 runs of which no attempt has started and ended",)


def test_the_present_fleet_is_every_worker_that_is_heard_of() -> None:
    fleet = present_fleet([a_worker(), a_worker("LOST")])

    assert fleet.boxes == (Box("atlas", 8, 16_000, (24_576,), {"zone": "a"}),)


def test_what_is_written_down_is_read_again_as_it_was(tmp_path: Path) -> None:
    load, fleet = record_load([a_run(60, 10), a_run(0, 30)], START), present_fleet([a_worker()])
    path = tmp_path / "week.jsonl"

    write_recording(path, load, fleet)
    case = read_load(path)

    assert case.load is not None
    assert case.fleet is not None
    assert case.load.runs == load.runs
    assert case.fleet.boxes == fleet.boxes
