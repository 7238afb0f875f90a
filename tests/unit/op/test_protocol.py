from __future__ import annotations

import ast
import inspect
import sys

from gyoza.op import protocol


def test_the_contract_needs_nothing_but_the_standard_library() -> None:
    tree = ast.parse(inspect.getsource(protocol))

    modules = {
        node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module
    } | {
        name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }

    assert modules <= sys.stdlib_module_names


def test_the_published_names_of_protocol_v1_do_not_change() -> None:
    assert protocol.VERSION == 1
    assert (protocol.DIR, protocol.IN, protocol.OUT, protocol.FILES) == (
        "/gyoza",
        "in",
        "out",
        "files",
    )
    assert (protocol.INPUT_FILE, protocol.CONTEXT_FILE, protocol.CANCEL_FILE) == (
        "input.json",
        "context.json",
        "cancel.json",
    )
    assert (protocol.OUTPUT_FILE, protocol.EVENTS_FILE, protocol.ERROR_FILE) == (
        "output.json",
        "events.jsonl",
        "error.json",
    )
    assert (protocol.EXIT_BAD_INPUT, protocol.EXIT_TRY_AGAIN) == (65, 75)
    assert protocol.EVENT_TYPES == ("progress", "info", "error", "metric", "output")
