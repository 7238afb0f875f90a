"""What was typed becomes options: a table, nothing is carried out."""

from __future__ import annotations

import importlib
import io
from pathlib import Path
from typing import Any

import pytest

from gyoza.cli.app import main
from gyoza.cli.context import Context, GlobalOptions, Streams
from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.verbs import VERBS

TABLE: list[tuple[str, dict[str, Any]]] = [
    ("init d --template image --name n", {"folder": Path("d"), "template": "image", "name": "n"}),
    ("build p -t x:1 --push", {"path": Path("p"), "tag": "x:1", "pushes": True}),
    ("check p", {"path": Path("p"), "image": None}),
    ("op pause a b", {"ops": ("a", "b")}),
    ("op resume a", {"ops": ("a",)}),
    ("op limit a 4", {"op": "a", "most": 4}),
    ("op limit a none", {"op": "a", "most": None}),
    ("quota list", {}),
    ("quota set ada --max-queued 5", {"owner": "ada", "max_queued": 5, "max_active": None}),
    ("quota set ada --max-active 2", {"owner": "ada", "max_queued": None, "max_active": 2}),
    ("quota remove ada ben", {"owners": ("ada", "ben")}),
    ("worker drain wrk_1 box", {"workers": ("wrk_1", "box")}),
    ("worker resume wrk_1", {"workers": ("wrk_1",), "gpu": None}),
    ("worker resume wrk_1 --gpu GPU-1", {"gpu": "GPU-1"}),
    ("worker show wrk_1", {"worker": "wrk_1"}),
    ("worker remove wrk_1", {"workers": ("wrk_1",), "force": False}),
    ("worker remove wrk_1 --force", {"force": True}),
    ("ps", {"all": False, "states": (), "op": None, "tags": (), "limit": 50}),
    ("ps -a --state failed --state Running", {"all": True, "states": ("FAILED", "RUNNING")}),
    ("ps --op x --tag a=b --limit 3", {"op": "x", "tags": ("a=b",), "limit": 3}),
    ("show run_1 --attempt 2", {"run": "run_1", "attempt": 2}),
    ("show --attempt 2 run_1", {"run": "run_1", "attempt": 2}),
    ("explain @last", {"run": "@last"}),
    ("priority run_1 70", {"run": "run_1", "priority": 70}),
    ("logs run_1", {"run": "run_1", "follow": False, "attempt": None, "tail": None}),
    ("files run_1", {"run": "run_1", "out": None}),
    ("files @last --out d", {"run": "@last", "out": Path("d")}),
    ("logs @last -f --tail 5", {"run": "@last", "follow": True, "tail": 5}),
    ("cancel a b --reason late", {"runs": ("a", "b"), "reason": "late"}),
    ("retry a", {"run": "a", "follow": False}),
    ("retry a --follow", {"run": "a", "follow": True}),
    ("op list --archived", {"archived": True}),
    ("op show x --version 2", {"op": "x", "version": "2"}),
    ("worker list", {}),
    ("doctor", {}),
    (
        "simulate load.yml --fleet a.yml --fleet b.yml --add x --seed 3 --step 5s --plot o.svg",
        {
            "load": Path("load.yml"),
            "fleets": (Path("a.yml"), Path("b.yml")),
            "add": ("x",),
            "seed": 3,
            "step": "5s",
            "plot": Path("o.svg"),
        },
    ),
    ("simulate --from-server --since 2d", {"load": None, "since": "2d"}),
    (
        "worker start --name w --state-dir /s --tag a=b --docker-host unix:///d",
        {"name": "w", "state_dir": Path("/s"), "tags": ("a=b",), "docker_host": "unix:///d"},
    ),
    (
        "server start --host h --port 1 --data-dir /d --log-level debug",
        {"host": "h", "port": 1, "data_dir": Path("/d"), "log_level": "debug"},
    ),
    ("dev", {"paths": (), "data_dir": None, "port": 5555, "worker_tags": (), "base": None}),
    ("dev a b --base x:1", {"paths": (Path("a"), Path("b")), "base": "x:1"}),
    (
        "dev --data-dir /d --port 6 --worker-tag a=b --worker-tag c=d",
        {"data_dir": Path("/d"), "port": 6, "worker_tags": ("a=b", "c=d")},
    ),
    (
        "deploy",
        {"path": Path(), "image": None, "version": None, "dry_run": False, "builds": None},
    ),
    ("deploy p --build --push --base b", {"builds": True, "pushes": True, "base": "b"}),
    ("deploy --no-build --dry-run --exit-code", {"builds": False, "exit_code": True}),
    ("op versions a", {"op": "a", "all": False}),
    ("op versions a --all", {"op": "a", "all": True}),
    ("op rollback a", {"op": "a", "version": None}),
    ("op rollback a 1.0.0", {"op": "a", "version": "1.0.0"}),
    ("op schema a", {"op": "a", "version": None, "inputs": False, "outputs": False}),
    ("op schema a --version 2 --inputs", {"version": "2", "inputs": True}),
    ("op schema a --outputs", {"outputs": True}),
    (
        "deploy p --image i --version 2 --dry-run",
        {"path": Path("p"), "image": "i", "version": "2", "dry_run": True},
    ),
    (
        "run op -i a=1 --input b=2 --input-file f.json --priority 7 --tag k=v --version 3",
        {
            "op": "op",
            "image": None,
            "inputs": ("a=1", "b=2"),
            "input_file": Path("f.json"),
            "priority": 7,
            "tags": ("k=v",),
            "version": "3",
            "detach": False,
        },
    ),
    (
        "run --image busybox -d --idempotency-key k",
        {"op": None, "image": "busybox", "detach": True, "idempotency_key": "k"},
    ),
]


def parse(words: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Context]:
    seen: list[Any] = []

    def keep(options: object, _: Context) -> ExitCode:
        seen.append(options)
        return ExitCode.OK

    for verb in VERBS:
        monkeypatch.setattr(importlib.import_module(verb.module), "run", keep)
    streams = Streams(io.StringIO(), io.StringIO(), io.StringIO())
    context = Context(streams=streams, environment={})
    assert main(words, context) == 0, streams.stderr.getvalue()  # type: ignore[attr-defined]
    return seen[0], context


@pytest.mark.parametrize(("line", "expected"), TABLE, ids=[line for line, _ in TABLE])
def test_words_become_options(
    line: str, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    options, _ = parse(line.split(), monkeypatch)

    assert {name: getattr(options, name) for name in expected} == expected


def test_every_verb_is_in_the_table() -> None:
    named = {verb.name for verb in VERBS for line, _ in TABLE if f"{line} ".startswith(verb.name)}

    assert named == {verb.name for verb in VERBS}


@pytest.mark.parametrize(
    "line",
    [
        "--url http://x --json -q --no-color --debug --timeout 3 op list",
        "op --url http://x --json -q --no-color --debug --timeout 3 list",
        "op list --url http://x --json -q --no-color --debug --timeout 3",
    ],
)
def test_global_options_are_taken_at_every_level(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, context = parse(line.split(), monkeypatch)

    assert context.options == GlobalOptions("http://x", True, True, True, True, 3.0)


def test_the_innermost_value_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--url", "http://outer", "--timeout", "1", "ps", "--url", "http://inner"]

    _, context = parse(words, monkeypatch)

    assert (context.options.url, context.options.timeout) == ("http://inner", 1.0)
