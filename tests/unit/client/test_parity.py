"""The two clients, and the two handles, are one interface in two colours."""

from __future__ import annotations

import inspect
import re

import pytest

from gyoza.client import (
    AsyncFileRef,
    AsyncGyozaClient,
    AsyncRunHandle,
    FileRef,
    GyozaClient,
    RunHandle,
)

PAIRS = [(GyozaClient, AsyncGyozaClient), (RunHandle, AsyncRunHandle), (FileRef, AsyncFileRef)]
DUNDERS = {"__enter__": "__aenter__", "__exit__": "__aexit__"}


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def parameters(function: object) -> list[tuple[str, object, object]]:
    signature = inspect.signature(function)  # type: ignore[arg-type]
    return [(p.name, p.kind, p.default) for p in signature.parameters.values()]


def one_colour(annotation: object) -> str:
    return re.sub(r"\bAsync(Iterator|RunHandle|FileRef)", r"\1", str(annotation))


@pytest.mark.parametrize(("sync", "asynchronous"), PAIRS)
def test_both_have_the_same_names(sync: type, asynchronous: type) -> None:
    assert public(sync) == public(asynchronous)
    for name, twin in DUNDERS.items():
        assert hasattr(sync, name) == hasattr(asynchronous, twin)


@pytest.mark.parametrize(
    ("sync", "asynchronous", "name"),
    [
        (sync, asynchronous, name)
        for sync, asynchronous in PAIRS
        for name in sorted(public(sync))
        if inspect.isfunction(getattr(sync, name))
    ],
)
def test_a_method_has_the_same_parameters_defaults_answer_and_words(
    sync: type, asynchronous: type, name: str
) -> None:
    one, other = getattr(sync, name), getattr(asynchronous, name)

    assert parameters(one) == parameters(other)
    assert inspect.getdoc(one) == inspect.getdoc(other)
    answers = [inspect.signature(each).return_annotation for each in (one, other)]
    assert one_colour(answers[0]) == one_colour(answers[1])


def test_the_published_names_and_their_parameters_are_kept() -> None:
    published = {
        "upsert_definition": ["op"],
        "get_definition": ["name", "version"],
        "list_definitions": [],
        "create_run": [
            "image",
            "inputs",
            "priority",
            "constraints",
            "retry_policy",
            "event_delivery",
        ],
        "create_run_from_definition": ["name", "inputs", "version", "priority"],
        "update_run": ["run_id", "state", "outputs", "priority"],
        "add_event": ["run_id", "event_type", "msg", "payload"],
    }

    for name, expected in published.items():
        names = [p[0] for p in parameters(getattr(GyozaClient, name))][1:]
        assert names[: len(expected)] == expected

    constructor = parameters(GyozaClient.__init__)[1:4]
    assert [(name, default) for name, _, default in constructor] == [
        ("base_url", None),
        ("api_key", None),
        ("timeout", 30.0),
    ]
