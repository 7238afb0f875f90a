"""What the command says of runs that wait, against a pretended server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gyoza.cli.output import clean
from tests.integration.cli.pretend_server import PretendServer
from tests.integration.cli.test_verbs import Shell
from tests.support.run_documents import RUN_ID, a_run


@pytest.fixture
def server() -> PretendServer:
    return PretendServer(run=a_run())


@pytest.fixture
def shell(server: PretendServer, tmp_path: Path) -> Shell:
    return Shell(server, tmp_path)


def test_a_piped_list_says_why_in_its_last_column(shell: Shell) -> None:
    assert shell("ps")[1].splitlines()[1].split("\t")[-1] == "waits for VRAM"


def test_a_run_that_nobody_can_take_stands_out_in_the_list(
    shell: Shell, server: PretendServer
) -> None:
    server.waiting = {"verdict": "NEVER", "rule": None, "summary": "needs 64 CPU, the most is 8"}

    out = clean(shell("ps", terminal=True)[1])

    assert "⊘ PENDING (never)" in out
    assert f"Why they wait\n  {RUN_ID}: needs 64 CPU, the most is 8" in out
    assert max(map(len, out.splitlines())) <= 80


def test_the_json_of_a_waiting_run_says_why(shell: Shell, server: PretendServer) -> None:
    server.waiting = {"verdict": "LATER", "rule": "paused", "summary": "op wordcount is paused"}

    assert json.loads(shell("ps", "--json")[1])["items"][0]["waiting"] == server.waiting
    assert json.loads(shell("show", RUN_ID, "--json")[1])["waiting"] == server.waiting
