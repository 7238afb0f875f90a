"""Runs that come after others: what a submit may name, and holding its run back for them.

A run can only name runs that exist, so nobody ever waits in a circle. What becomes of who waits is
settled in the transaction that ends a run (`storage/repositories/dependencies.py`); what that left
over is taken up by `loops/settler.py`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Final, NamedTuple

from gyoza.models import OpRun, OpRunState
from gyoza.models.lifecycle import is_terminal
from gyoza.server.errors import AmbiguousId, InvalidInput, RunNotFound
from gyoza.server.storage.lanes import AWAITING_RUNS
from gyoza.server.storage.repositories.dependencies import Awaited, Condition
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.run_ids import whole_id
from gyoza.wire.messages import Fault, SubmitRun

MAX_PREDECESSORS: Final = 100
MAX_DIFFERENT: Final = 10_000
_AT: Final[dict[Condition, str]] = {"success": "/after", "any": "/after_any"}


class _Named(NamedTuple):
    run_id: str
    state: OpRunState


class Predecessors:
    """The runs that the submits of one transaction come after; each is looked up once.

    Args:
        uow: The transaction's unit of work.
    """

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._known: dict[str, _Named | str] = {}
        self._awaited: dict[str, list[Awaited]] = {}

    def hold(self, run: OpRun, command: SubmitRun) -> None:
        """Have a new run wait for the runs that its submit names, as far as they are not over.

        Raises:
            InvalidInput: With every one that is unknown, has failed although it was to complete,
                or is too many.
        """
        count = len(command.after) + len(command.after_any)
        if not count:
            return
        if count > MAX_PREDECESSORS:
            message = f"names {count} runs with after_any, expected at most {MAX_PREDECESSORS}; "
            message += "have a run of its own come after each hundred"
            raise InvalidInput([Fault(pointer="/after", message=message)])
        faults: list[Fault] = []
        waits: dict[str, Condition] = {}
        for condition, index, name in _asked(command):
            found = self._find(name)
            fault = found if isinstance(found, str) else _fault_of(found, condition)
            if fault:
                faults.append(Fault(pointer=f"{_AT[condition]}/{index}", message=fault))
            elif isinstance(found, _Named) and not is_terminal(found.state):
                waits.setdefault(found.run_id, condition)
        if faults:
            raise InvalidInput(faults)
        if waits:
            run.phase = AWAITING_RUNS
            self._awaited[run.id] = [Awaited(run.id, after, how) for after, how in waits.items()]

    def write(self, taken: Container[str]) -> None:
        """Note for whom the runs wait that were stored; those refused meanwhile are left out."""
        self._uow.dependencies.add(
            each for run_id, some in self._awaited.items() if run_id in taken for each in some
        )

    def _find(self, name: str) -> _Named | str:
        found = self._known.get(name)
        if found is None:
            if len(self._known) == MAX_DIFFERENT:
                return f"one request names at most {MAX_DIFFERENT} different runs; send it in parts"
            found = self._known[name] = self._look_up(name)
        return found

    def _look_up(self, name: str) -> _Named | str:
        try:
            run_id = whole_id(self._uow, name)
        except (RunNotFound, AmbiguousId) as error:
            return str(error)
        return _Named(run_id, self._uow.dependencies.states_of([run_id])[run_id])


def _asked(command: SubmitRun) -> Iterator[tuple[Condition, int, str]]:
    # Those that have to complete first: whoever is named both ways has to.
    for index, name in enumerate(command.after):
        yield "success", index, name
    for index, name in enumerate(command.after_any):
        yield "any", index, name


def _fault_of(found: _Named, condition: Condition) -> str:
    failed = is_terminal(found.state) and found.state is not OpRunState.COMPLETED
    if condition == "any" or not failed:
        return ""
    return (
        f"run {found.run_id} ended {found.state.value}, and this one is to start only once it has "
        "completed; retry it first, or name it in after_any (--after-any)"
    )
