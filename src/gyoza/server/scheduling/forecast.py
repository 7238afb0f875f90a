"""When a waiting run will start, as far as learned run times tell: the real planner, played on.

Attempts end when runs like them usually do, places are given by `plan`, and what is placed ends
after its own usual time. Deterministic, and bounded by an amount of work instead of a clock. Where
the play would rest on a time that nobody knows, there is no answer, and the reason is said.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from gyoza.server.scheduling.planner import Placement, plan
from gyoza.server.scheduling.snapshot import GpuSnapshot, Holding, Snapshot, WorkerSnapshot

# A step looks at every run and worker; so much takes well under a second.
_MOST_WORK: Final = 400_000


class Forecast(NamedTuple):
    """When a run is expected to start.

    Attributes:
        at: When; None when it is unknown.
        after: The attempts at work now that end before, in the order of their ends.
        started: How many waiting runs start before it.
        why: Why it is unknown; "" when it is known.
    """

    at: datetime | None
    after: tuple[str, ...] = ()
    started: int = 0
    why: str = ""


def forecast(run_id: str, snapshot: Snapshot) -> Forecast:
    """Play on from a snapshot until the run is placed.

    Args:
        run_id: The run; one of the snapshot's.
        snapshot: What waits, with usual times, and what is at work, with expected ends.
    """
    at_work = {each.run_id for worker in snapshot.workers for each in worker.holdings}
    current, ended, started, work = snapshot, list[str](), 0, 0
    while work < _MOST_WORK:
        work += len(current.runs) + len(current.workers) * len({run.shape for run in current.runs})
        placements = plan(current).placements
        if any(each.run.run_id == run_id for each in placements):
            return Forecast(current.now, tuple(each for each in ended if each in at_work), started)
        started += len(placements)
        current = _placed(current, placements)
        moment = _next_end(current.workers)
        if moment is None:
            return Forecast(None, why=_why_unknown(current))
        current, over = _advanced(current, max(moment, current.now))
        ended += over
    return Forecast(None, why="too much is ahead of it to work that out")


def _placed(snapshot: Snapshot, placements: Iterable[Placement]) -> Snapshot:
    by_worker: dict[str, list[Holding]] = {}
    gone: set[str] = set()
    for each in placements:
        by_worker.setdefault(each.worker_id, []).append(_begun(each, snapshot.now))
        gone.add(each.run.run_id)
    workers = tuple(
        _holding(worker, (*worker.holdings, *by_worker.get(worker.worker_id, ())))
        for worker in snapshot.workers
    )
    runs = tuple(run for run in snapshot.runs if run.run_id not in gone)
    return replace(snapshot, runs=runs, workers=workers)


def _begun(placement: Placement, now: datetime) -> Holding:
    usual_s = placement.run.usual_s
    return placement.begun(now, None if usual_s is None else now + timedelta(seconds=usual_s))


def _next_end(workers: Iterable[WorkerSnapshot]) -> datetime | None:
    ends = (each.ends_at for worker in workers for each in worker.holdings)
    return min((end for end in ends if end is not None), default=None)


def _advanced(snapshot: Snapshot, moment: datetime) -> tuple[Snapshot, list[str]]:
    """The world at a later moment, and which runs were over by then, earliest first."""
    ended: list[Holding] = []
    workers: list[WorkerSnapshot] = []
    for worker in snapshot.workers:
        over = tuple(each for each in worker.holdings if _is_over(each, moment))
        left = tuple(each for each in worker.holdings if not _is_over(each, moment))
        ended += over
        workers.append(_holding(worker, left))
    ended.sort(key=lambda each: (each.ends_at or moment, each.run_id))
    later = replace(snapshot, now=moment, workers=tuple(workers))
    return later, [each.run_id for each in ended]


def _is_over(holding: Holding, moment: datetime) -> bool:
    return holding.ends_at is not None and holding.ends_at <= moment


def _holding(worker: WorkerSnapshot, held: tuple[Holding, ...]) -> WorkerSnapshot:
    """The worker with other attempts on it; what is reserved and named by none stays as it was."""
    if held == worker.holdings:
        return worker
    return replace(
        worker,
        holdings=held,
        reserved_cpu=worker.reserved_cpu + _more(worker.holdings, held, "cpu"),
        reserved_ram_mb=worker.reserved_ram_mb + _more(worker.holdings, held, "ram_mb"),
        gpus=tuple(_gpu(gpu, worker.holdings, held) for gpu in worker.gpus),
    )


def _gpu(gpu: GpuSnapshot, before: tuple[Holding, ...], now: tuple[Holding, ...]) -> GpuSnapshot:
    on_it = [tuple(each for each in some if each.gpu_uuid == gpu.uuid) for some in (before, now)]
    return replace(gpu, reserved_mb=gpu.reserved_mb + _more(on_it[0], on_it[1], "vram_mb"))


def _more(before: Iterable[Holding], now: Iterable[Holding], name: str) -> int:
    had, has = (sum(int(getattr(each, name)) for each in some) for some in (before, now))
    return has - had


def without(snapshot: Snapshot, run_id: str) -> Snapshot:
    """The snapshot as if a run at work had ended."""
    workers = tuple(
        _holding(worker, tuple(each for each in worker.holdings if each.run_id != run_id))
        for worker in snapshot.workers
    )
    return replace(snapshot, workers=workers)


def _why_unknown(snapshot: Snapshot) -> str:
    unknown = [
        each.op or each.run_id
        for worker in snapshot.workers
        for each in worker.holdings
        if each.ends_at is None
    ]
    if not unknown:
        return "nothing that is at work makes room for it"
    names = sorted(set(unknown))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004
    return f"too few runs have completed to know how long these take: {', '.join(names[:3])}{more}"
