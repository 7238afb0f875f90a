"""Concurrency keys: what makes one acceptable, which key a run has, and standing in line for it.

Of a key's runs at most `limit` are in a worker's hands. A run carries its key with the values of
its inputs filled in. Whoever comes to wait stands beside the queue; before its transaction commits,
as many are let in as there is room for, in the order of their turns (`storage/repositories/
concurrency.py`), so that the window of the planner never fills with runs that cannot be placed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from gyoza.models import Execution, InputSpecs, OpRun
from gyoza.models.value_types import known_type
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.wire import strict_json
from gyoza.wire.messages import Fault

MAX_KEY_CHARS: Final = 256
MAX_LIMIT: Final = 1_000_000
_AT: Final = "/execution/concurrency"
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_SCALARS: Final = (str, int, float, bool)
_NO_SCALARS: Final = ("object", "array", "file")
_MEMBERS: Final = ("key", "limit")


def concurrency_faults(concurrency: Mapping[str, Any] | None) -> list[Fault]:
    """Return what is wrong with a key and its limit, whatever the inputs are."""
    if concurrency is None:
        return []
    faults = [
        Fault(pointer=f"{_AT}/{name}", message="is not known, expected key and limit")
        for name in concurrency
        if name not in _MEMBERS
    ]
    key, limit = concurrency.get("key"), concurrency.get("limit")
    if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY_CHARS:
        got = "none" if key is None else f"{key!r:.80}"
        message = f"got {got}, expected text of 1 to {MAX_KEY_CHARS} characters, such as "
        message += "gpu-license or camera-{camera_id}"
        faults.append(Fault(pointer=f"{_AT}/key", message=message))
    elif set("{}") & set(_PLACEHOLDER.sub("", key)):
        message = f"got {key!r:.80}, expected each {{ to begin the name of an input that ends in }}"
        faults.append(Fault(pointer=f"{_AT}/key", message=message))
    if type(limit) is not int or not 0 < limit <= MAX_LIMIT:
        got = "none" if limit is None else f"{limit!r:.80}"
        message = f"got {got}, expected how many may run at once: 1 to {MAX_LIMIT}"
        faults.append(Fault(pointer=f"{_AT}/limit", message=message))
    return faults


def placeholder_faults(execution: Execution, specs: InputSpecs) -> list[Fault]:
    """Return the placeholders of a key that no input of the op can fill."""
    faults: list[Fault] = []
    for name in _names(execution):
        spec = specs.specs.get(name)
        if spec is None and specs.specs:
            message = f"{{{name}}} is no input of this op, expected one of {', '.join(specs.specs)}"
            faults.append(Fault(pointer=f"{_AT}/key", message=message))
        elif spec is not None and known_type(spec.type) in _NO_SCALARS:
            message = f"{{{name}}} is of type {spec.type}, expected a text, number or boolean"
            faults.append(Fault(pointer=f"{_AT}/key", message=message))
    return faults


def with_key(execution: Execution, inputs: Mapping[str, Any]) -> tuple[Execution, list[Fault]]:
    """Fill a run's inputs into its key; or say which of them cannot be.

    Args:
        execution: Of the definition or the submit; without faults.
        inputs: As the run gets them, with defaults.
    """
    if execution.concurrency is None:
        return execution, []
    faults: list[Fault] = []
    for name in _names(execution):
        value = inputs.get(name)
        if not isinstance(value, _SCALARS):
            what = "is not given" if value is None else "is no text, number or boolean"
            message = f"input {name} {what}, and the concurrency key is made of it"
            faults.append(Fault(pointer=f"{_AT}/key", message=message))
    if faults:
        return execution, faults
    key = _PLACEHOLDER.sub(lambda found: _text(inputs[found[1]]), execution.concurrency["key"])
    if len(key) > MAX_KEY_CHARS:
        message = f"is {len(key)} characters with its inputs, expected at most {MAX_KEY_CHARS}"
        return execution, [Fault(pointer=f"{_AT}/key", message=message)]
    resolved = {"key": key, "limit": execution.concurrency["limit"]}
    return replace(execution, concurrency=resolved), []


def limit_of(run: OpRun) -> int:
    """Return how many runs of its key may be at work at once by a run with a key."""
    return (run.execution.concurrency or {})["limit"]


def let_in(uow: UnitOfWork, runs: Iterable[OpRun]) -> None:
    """Let in whom the keys admit now instead of at the end, so that the runs say what came of it.

    Args:
        uow: The unit of work that wrote the runs.
        runs: Those that are shown to somebody.
    """
    admitted = uow.concurrency.settle()
    for run in runs:
        if run.id in admitted:
            run.phase = None


def _names(execution: Execution) -> Sequence[str]:
    key = (execution.concurrency or {}).get("key")
    return _PLACEHOLDER.findall(key) if isinstance(key, str) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else strict_json.dumps_text(value)
