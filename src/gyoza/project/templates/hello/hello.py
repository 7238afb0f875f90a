"""Greet somebody: the smallest op that shows inputs, bounds, progress and an output."""

from __future__ import annotations

from typing import Annotated

from gyoza.op import Field, log, op, progress


@op
def greet(name: str = "World", times: Annotated[int, Field(ge=1, le=100)] = 1) -> str:
    """Greet somebody.

    Args:
        name: Whom to greet.
        times: How often.
    """
    greetings: list[str] = []
    for number in range(1, times + 1):
        greetings.append(f"Hello, {name}!")
        progress(number, total=times)
    log.info("greeted", name=name, times=times)
    return " ".join(greetings)
