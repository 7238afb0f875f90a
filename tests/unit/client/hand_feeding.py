"""Feeding a flow by hand: what it asks for is read, what it gets is written, nothing happens."""

from __future__ import annotations

import json
from typing import Any, Generic, TypeVar

from gyoza.client._effects import Answer, Effect, Flow, Stepper
from gyoza.client.settings import Backoff

T = TypeVar("T")
# The middle of the jitter: every pause is three quarters of its longest.
STEADY = Backoff(retries=3, first_s=1.0, cap_s=8.0, patience_s=60.0, random=lambda: 0.5)


class Fed(Generic[T]):
    """A flow at its next effect."""

    def __init__(self, flow: Flow[T]) -> None:
        self._stepper = Stepper(flow)
        self.effect: Effect | None = self._stepper.next_effect()

    def give(self, outcome: Any) -> Effect | None:
        """Answer the effect (a GyozaError is its failure) and return the next one."""
        self._stepper.answer(outcome)
        self.effect = self._stepper.next_effect()
        return self.effect

    @property
    def result(self) -> T:
        assert self.effect is None, f"the flow still wants {self.effect}"
        return self._stepper.result


def json_answer(value: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, headers, json.dumps(value).encode())


def problem(status: int, code: str, detail: str = "no", **more: Any) -> Answer:
    document = {"type": "/p", "title": "t", "status": status, "detail": detail, "code": code}
    return json_answer({**document, **more}, status)
