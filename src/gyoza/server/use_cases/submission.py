"""From a submit to a run: every rule about what may be asked for, and what is written down with it.

A run carries everything it needs (resources, execution, policies), so that a later version of its
definition changes nothing about it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar

from gyoza.models import (
    Constraints,
    EventDelivery,
    Execution,
    OpDefinition,
    OpRun,
    RetryPolicy,
    Timeouts,
)
from gyoza.models.fields import InvalidFields
from gyoza.models.timestamps import parse_time
from gyoza.server.errors import InvalidInput, OpArchived, OpNotFound, VersionNotFound
from gyoza.server.settings import Settings
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases import op_rules
from gyoza.server.use_cases.concurrency import with_key
from gyoza.wire.messages import MAX_PRIORITY, Fault, JsonObject, SubmitRun

MAX_OWNER_CHARS: Final = 128
MAX_TAGS: Final = 64
MAX_TAG_CHARS: Final = 256
MOST_DELAY_S: Final = 10 * 365 * 86400

T = TypeVar("T")


class Catalogue:
    """The definitions that submits of one transaction name; each is read once.

    Args:
        uow: The transaction's unit of work.
    """

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._known: dict[tuple[str, str | None], OpDefinition] = {}

    def get(self, op_id: str, version: str | None) -> OpDefinition:
        """Return a version of an op that takes runs; None means the current version.

        Raises:
            OpNotFound, VersionNotFound, OpArchived: As their names say.
        """
        found = self._known.get((op_id, version))
        if found is None:
            found = self._known[op_id, version] = self._read(op_id, version)
        return found

    def _read(self, op_id: str, version: str | None) -> OpDefinition:
        definitions = self._uow.definitions
        definition = definitions.find(op_id, version)
        if definition is None:
            if version is not None and definitions.exists(op_id):
                raise VersionNotFound(op_id, version)
            raise OpNotFound(op_id)
        if definitions.is_archived(op_id):
            raise OpArchived(op_id)
        return definition


class _Policies(NamedTuple):
    constraints: Constraints
    retry_policy: RetryPolicy
    event_delivery: EventDelivery
    execution: Execution


def run_from(
    command: SubmitRun, catalogue: Catalogue, settings: Settings, run_id: str, now: datetime
) -> OpRun:
    """Make the run that a submit asks for; nothing is stored.

    Args:
        command: What is asked for.
        catalogue: Where definitions are found.
        settings: Default resources.
        run_id: The new run's id.
        now: The moment of the submit.

    Raises:
        InvalidInput: With every fault as a JSON pointer.
        OpNotFound, VersionNotFound, OpArchived: The definition takes no run.
    """
    faults = _source_faults(command)
    if faults:
        raise InvalidInput(faults)
    definition = None
    if command.op_definition is not None:
        definition = catalogue.get(command.op_definition, command.op_version)
    faults = _plain_faults(command)
    due_at = _due_at(command, now, faults)
    policies = _policies(command, definition, settings, faults)
    if definition is not None:
        faults += op_rules.input_faults(definition, command.inputs)
    if faults:
        raise InvalidInput(faults)
    inputs = definition.prepare_inputs(command.inputs) if definition else command.inputs
    execution, faults = with_key(policies.execution, inputs)
    if faults:
        raise InvalidInput(faults)
    return OpRun.create(
        definition.image if definition else command.image or "",
        command.priority,
        inputs,
        policies.constraints,
        policies.retry_policy,
        policies.event_delivery,
        definition.id if definition else None,
        id=run_id,
        now=now,
        op_version=definition.version if definition else None,
        image_digest=definition.image_digest if definition else None,
        owner=command.owner,
        tags=command.tags,
        due_at=due_at,
        execution=execution,
    )


def _source_faults(command: SubmitRun) -> list[Fault]:
    if (command.op_definition is None) == (command.image is None):
        message = "expected op_definition or image, one of them and not both"
        return [Fault(pointer="/op_definition", message=message)]
    if command.op_definition is not None:
        if command.execution is None:
            return []
        message = "comes from the definition; only timeouts can be overridden, by `timeouts`"
        return [Fault(pointer="/execution", message=message)]
    faults = op_rules.image_faults(command.image or "")
    if command.op_version is not None:
        message = "goes with op_definition; an image has no op version"
        faults.append(Fault(pointer="/op_version", message=message))
    return faults


def _plain_faults(command: SubmitRun) -> list[Fault]:
    faults = priority_faults(command.priority)
    owner = command.owner
    if owner is not None and not 0 < len(owner) <= MAX_OWNER_CHARS:
        message = f"got {len(owner)} characters, expected 1 to {MAX_OWNER_CHARS}"
        faults.append(Fault(pointer="/owner", message=message))
    if len(command.tags) > MAX_TAGS:
        message = f"got {len(command.tags)} tags, expected at most {MAX_TAGS}"
        faults.append(Fault(pointer="/tags", message=message))
    if any(not key or len(key) + len(value) > MAX_TAG_CHARS for key, value in command.tags.items()):
        message = f"a tag has a name, and at most {MAX_TAG_CHARS} characters with its value"
        faults.append(Fault(pointer="/tags", message=message))
    return faults


def priority_faults(priority: int) -> list[Fault]:
    """Return what is wrong with a priority over the API."""
    if 0 <= priority <= MAX_PRIORITY:
        return []
    message = f"got {priority}, expected 0 to {MAX_PRIORITY}; higher runs first"
    return [Fault(pointer="/priority", message=message)]


def _due_at(command: SubmitRun, now: datetime, faults: list[Fault]) -> datetime | None:
    if command.due_in_s is not None:
        return _due_in(command.due_in_s, command.due_at, now, faults)
    if command.due_at is None:
        return None
    try:
        return parse_time(command.due_at)
    except ValueError:
        message = f"got {command.due_at[:80]!r}, expected a time such as 2031-05-04T09:08:07Z"
        faults.append(Fault(pointer="/due_at", message=message))
        return None


def _due_in(
    seconds: float, due_at: str | None, now: datetime, faults: list[Fault]
) -> datetime | None:
    if due_at is not None:
        message = "goes without due_at: name the time or the seconds until it, not both"
        faults.append(Fault(pointer="/due_in_s", message=message))
    elif 0 <= seconds <= MOST_DELAY_S:
        return now + timedelta(seconds=seconds)
    else:
        message = f"got {seconds:g}, expected 0 to {MOST_DELAY_S} seconds, ten years"
        faults.append(Fault(pointer="/due_in_s", message=message))
    return None


def _policies(
    command: SubmitRun, definition: OpDefinition | None, settings: Settings, faults: list[Fault]
) -> _Policies:
    base = definition or OpDefinition("-", "-", "-")
    constraints = _over(
        base.constraints, command.constraints, Constraints.from_dict, "/constraints", faults
    )
    execution = _over(base.execution, command.execution, Execution.from_dict, "/execution", faults)
    timeouts = _over(execution.timeouts, command.timeouts, Timeouts.from_dict, "/timeouts", faults)
    faults += op_rules.constraint_faults(constraints) + op_rules.execution_faults(execution)
    return _Policies(
        constraints=_with_defaults(constraints, settings),
        retry_policy=_over(
            base.retry_policy, command.retry_policy, RetryPolicy.from_dict, "/retry_policy", faults
        ),
        event_delivery=_over(
            base.event_delivery,
            command.event_delivery,
            EventDelivery.from_dict,
            "/event_delivery",
            faults,
        ),
        execution=Execution.from_dict({**execution.to_dict(), "timeouts": timeouts.to_dict()}),
    )


def _over(
    base: Any,
    given: JsonObject | None,
    read: Callable[[JsonObject], T],
    at: str,
    faults: list[Fault],
) -> T:
    """Lay the given members over a value; where that fails the value stays and the faults grow."""
    if given is None:
        return base
    try:
        return read({**base.to_dict(), **given})
    except InvalidFields as error:
        faults += op_rules.field_faults(error, at)
        return base


def _with_defaults(constraints: Constraints, settings: Settings) -> Constraints:
    cpu, ram_mb = constraints.cpu, constraints.ram_mb
    return Constraints(
        cpu=settings.default_cpu if cpu is None else cpu,
        ram_mb=settings.default_ram_mb if ram_mb is None else ram_mb,
        vram_mb=constraints.vram_mb,
    )
