"""Runs after runs: who waits for whom, and what becomes of those who wait when a run has ended.

Who waits stands beside the queue (phase AWAITING_RUNS) with a row per run that it waits for. Runs
end by `runs.save` alone, which notes them (`Transaction.ended_runs`); `settle` then lets go or
cancels those who waited for them, before the transaction commits. What is more than one
transaction should carry is found by `left_over`, through an index, and settled by `take_up`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from sqlalchemy import Select, bindparam, delete, exists, func, insert, select

from gyoza.models import OpRun, OpRunState
from gyoza.server.storage.lanes import AWAITING_RUNS, awaits_of, stand_in_line
from gyoza.server.storage.planning_schema import run_dependencies
from gyoza.server.storage.repositories.runs import RunRepository
from gyoza.server.storage.schema import op_runs
from gyoza.server.storage.transaction import Transaction

Condition: TypeAlias = Literal["success", "any"]
DEPENDENCY_FAILED: Final = "DEPENDENCY_FAILED"
MOST_AT_ONCE: Final = 500
"""Rows that one transaction settles at most."""
_PORTION: Final = 500  # ids in one statement

_ADD: Final = insert(run_dependencies)
_FORGET: Final = delete(run_dependencies).where(
    run_dependencies.c.run_id.in_(bindparam("runs", expanding=True))
)
_SETTLED: Final = delete(run_dependencies).where(
    run_dependencies.c.run_id == bindparam("run"), run_dependencies.c.after_id == bindparam("after")
)
_OF_ENDED: Final = (
    select(
        run_dependencies.c.run_id,
        run_dependencies.c.after_id,
        run_dependencies.c.condition,
        op_runs.c.state,
        op_runs.c.reason,
    )
    .join(op_runs, op_runs.c.id == run_dependencies.c.after_id)
    .where(
        run_dependencies.c.after_id.in_(bindparam("ended", expanding=True)),
        op_runs.c.ended_us.is_not(None),  # who was retried at the same moment has not ended
    )
    .limit(bindparam("count"))
)
_STILL_WAIT: Final = (
    select(run_dependencies.c.run_id)
    .where(run_dependencies.c.run_id.in_(bindparam("runs", expanding=True)))
    .distinct()
)
_STATES: Final = select(op_runs.c.id, op_runs.c.state).where(
    op_runs.c.id.in_(bindparam("runs", expanding=True))
)


def _ended_and_awaited() -> Select[str]:
    """Awaited runs that are over, by a walk that looks into the index once per awaited run."""
    name = run_dependencies.c.after_id
    first = select(func.min(name)).scalar_subquery()
    walk = select(first.label("after_id")).cte("awaited", recursive=True)
    following = select(func.min(name)).where(name > walk.c.after_id).correlate(walk)
    step = select(following.scalar_subquery()).where(walk.c.after_id.is_not(None))
    awaited = walk.union_all(step)
    over = exists().where(op_runs.c.id == awaited.c.after_id, op_runs.c.ended_us.is_not(None))
    return select(awaited.c.after_id).where(over).limit(bindparam("count"))


ENDED_AND_AWAITED: Final = _ended_and_awaited()


class Awaited(NamedTuple):
    """A run that another one comes after.

    Attributes:
        run_id: Who waits.
        after_id: For whom.
        condition: Whether it has to complete, or to end however.
    """

    run_id: str
    after_id: str
    condition: Condition


class _Over(NamedTuple):
    run_id: str
    after_id: str
    condition: str
    state: str
    reason: str | None

    @property
    def is_broken(self) -> bool:
        """Whether what was waited for cannot come any more."""
        return self.condition == "success" and self.state != OpRunState.COMPLETED.value

    @property
    def message(self) -> str:
        """Why the run that waited does not start, for people."""
        why = f" ({self.reason})" if self.reason not in (None, self.state) else ""
        return f"comes after {self.after_id}, which ended {self.state}{why}"


class DependencyRepository:
    """Who waits for whom in one transaction.

    Args:
        transaction: The transaction.
        runs: Its runs.
    """

    def __init__(self, transaction: Transaction, runs: RunRepository) -> None:
        self._transaction = transaction
        self._connection = transaction.connection
        self._runs = runs

    def add(self, awaited: Iterable[Awaited]) -> None:
        """Note for whom runs wait that were added in the phase AWAITING_RUNS."""
        rows = [each._asdict() for each in awaited]
        if rows:
            self._connection.execute(_ADD, rows)

    def states_of(self, run_ids: Sequence[str]) -> dict[str, OpRunState]:
        """Return the states of runs, without loading them; who does not exist is left out."""
        rows = self._connection.execute(_STATES, {"runs": run_ids})
        return {run_id: OpRunState(state) for run_id, state in rows}

    def left_over(self, limit: int) -> list[str]:
        """Return runs that are over while others still wait for them."""
        return list(self._connection.execute(ENDED_AND_AWAITED, {"count": limit}).scalars())

    def take_up(self, run_ids: Iterable[str]) -> None:
        """Have settled who waits for runs of `left_over`; one that was retried since is passed."""
        for run_id in run_ids:
            self._transaction.note_end(run_id)

    def settle(self) -> None:
        """Let go or cancel who waited for the runs that ended in this transaction.

        Who is cancelled has ended too, so it goes on from there. Wakes `dispatch` where somebody
        was let go, and `dependents` where more may be left than it could settle.
        """
        left = MOST_AT_ONCE
        while self._transaction.ended_runs:
            ended = list(islice(self._transaction.ended_runs, _PORTION))
            for run_id in ended:
                del self._transaction.ended_runs[run_id]
            # Who has ended waits for nobody, even if it should be retried.
            self._connection.execute(_FORGET, {"runs": ended})
            if left:
                left -= self._settle(ended, left)
        if not left:
            self._transaction.wake("dependents")

    def _settle(self, ended: Sequence[str], limit: int) -> int:
        given = {"ended": ended, "count": limit}
        over = [_Over(*row) for row in self._connection.execute(_OF_ENDED, given)]
        if not over:
            return 0
        pairs: list[dict[str, Any]] = [
            {"run": each.run_id, "after": each.after_id} for each in over
        ]
        self._connection.execute(_SETTLED, pairs)
        broken = {each.run_id: each for each in over if each.is_broken}
        waited = {each.run_id for each in over}
        still = self._connection.execute(_STILL_WAIT, {"runs": list(waited - broken.keys())})
        concerned = waited - set(still.scalars())
        runs = [run for run in self._runs.get_many(concerned) if awaits_of(run) == AWAITING_RUNS]
        for run in runs:
            self._go_on(run, broken.get(run.id))
        self._runs.save_many(runs)
        return len(over)

    def _go_on(self, run: OpRun, broken: _Over | None) -> None:
        now = self._transaction.now()
        if broken is not None:
            run.cancel(broken.message, reason=DEPENDENCY_FAILED, now=now)
            return
        run.phase = None
        run.updated_at = now
        stand_in_line(run, now)
        self._transaction.wake(f"run:{run.id}")
        self._transaction.wake("dispatch")
