"""An op is still a function: its test calls it."""

from __future__ import annotations

from hello import greet


def test_it_greets_the_world_when_nobody_is_named() -> None:
    assert greet() == "Hello, World!"


def test_it_greets_as_often_as_asked() -> None:
    assert greet("Ada", times=2) == "Hello, Ada! Hello, Ada!"
