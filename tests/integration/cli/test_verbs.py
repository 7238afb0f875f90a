"""Verbs from the words typed to what stands on the streams, against a pretended server."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gyoza.cli.app import main
from gyoza.cli.context import Context, Streams
from gyoza.models import OpRun
from tests.integration.cli.pretend_server import PretendServer
from tests.support.run_documents import (
    RUN_ID,
    START,
    a_cancelled_run,
    a_completed_run,
    a_failed_run,
    a_run,
    a_running_run,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@dataclass
class Shell:
    """Runs the command in a user's environment of its own."""

    server: PretendServer
    home: Path

    def __call__(
        self, *words: str, stdin: str = "", terminal: bool = False
    ) -> tuple[int, str, str]:
        out = Terminal() if terminal else io.StringIO()
        streams = Streams(io.StringIO(stdin), out, io.StringIO())
        context = Context(
            streams=streams,
            environment={"XDG_STATE_HOME": str(self.home), "GYOZA_DOCKER_HOST": "unix:///absent"},
            now=lambda: START,
            transport=self.server.transport(),
        )
        code = main(words, context)
        assert isinstance(streams.stderr, io.StringIO)
        return code, out.getvalue(), streams.stderr.getvalue()


@pytest.fixture
def server() -> PretendServer:
    return PretendServer()


@pytest.fixture
def shell(server: PretendServer, tmp_path: Path) -> Shell:
    return Shell(server, tmp_path)


RUN_KEYS = {
    "id",
    "state",
    "priority",
    "image",
    "inputs",
    "constraints",
    "retry_policy",
    "event_delivery",
    "op_definition",
    "created_at",
    "updated_at",
    "attempts",
    "progress",
    "outputs",
    "execution_summary",
    "attempt",
    "worker_id",
    "reason",
    "phase",
}


@pytest.mark.parametrize(
    "words",
    [("ps",), ("show", RUN_ID), ("run", "wordcount", "-i", "text=a"), ("cancel", RUN_ID)],
    ids=lambda words: words[0],
)
def test_the_json_of_a_run_has_these_keys(shell: Shell, words: tuple[str, ...]) -> None:
    code, out, _ = shell(*words, "--json")

    document: dict[str, Any] = json.loads(out)
    assert code == 0
    assert set(document.get("items", [document])[0]) >= RUN_KEYS


def test_the_json_of_lists_is_a_page(shell: Shell) -> None:
    for words in (("ps",), ("op", "list"), ("worker", "list")):
        _, out, _ = shell(*words, "--json")
        assert set(json.loads(out)) == {"items", "next_page_token"}


def test_a_piped_run_prints_its_outputs_and_nothing_else(shell: Shell) -> None:
    code, out, _ = shell("run", "wordcount", "-i", "text=hello")

    assert (code, json.loads(out)) == (0, {"words": 2})


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (a_completed_run(), 0),
        (a_failed_run(), 3),
        (a_failed_run("OOM"), 3),
        (a_cancelled_run(), 9),
        (a_failed_run("RUN_TIMEOUT"), 10),
        (a_failed_run("TOTAL_TIMEOUT"), 10),
        (a_failed_run("QUEUE_TIMEOUT"), 10),
    ],
    ids=lambda each: each.reason or each.state.value if isinstance(each, OpRun) else str(each),
)
def test_the_exit_code_is_that_of_the_run(
    shell: Shell, server: PretendServer, ended: OpRun, code: int
) -> None:
    server.run = ended

    assert shell("run", "wordcount", "-i", "text=a")[0] == code


def test_a_failed_run_tells_its_reason_and_last_lines_on_standard_error(
    shell: Shell, server: PretendServer
) -> None:
    server.run = a_failed_run()

    _, out, err = shell("run", "wordcount", "-i", "text=a")

    assert out == ""
    assert "USER_ERROR: exit code 3" in err
    assert "| three" in err
    assert f"gyoza retry {RUN_ID}" in err


def test_the_clients_own_limit_ends_with_124_and_the_next_commands(
    shell: Shell, server: PretendServer
) -> None:
    server.run, server.ends = a_running_run(), False

    code, out, err = shell("run", "wordcount", "-i", "text=a", "--timeout", "0.3")

    assert (code, out) == (124, "")
    assert f"gyoza cancel {RUN_ID}" in err


def test_detached_prints_the_id_and_at_last_means_it_from_then_on(
    shell: Shell, server: PretendServer
) -> None:
    code, out, _ = shell("run", "wordcount", "-i", "text=a", "--detach")
    assert (code, out) == (0, f"{RUN_ID}\n")

    shell("show", "@last")

    assert server.seen[-1] == f"GET /runs/{RUN_ID}"


def test_at_last_without_a_run_is_told_so(shell: Shell) -> None:
    code, _, err = shell("show", "@last")

    assert code == 5
    assert "there is none" in err


def test_a_beginning_without_its_prefix_is_completed(shell: Shell, server: PretendServer) -> None:
    shell("logs", "01hx3k00")

    assert server.seen == ["GET /runs/run_01hx3k00", f"GET /runs/{RUN_ID}/logs"]


def test_inputs_priority_tags_and_key_reach_the_server(shell: Shell, server: PretendServer) -> None:
    shell(
        *("run", "wordcount", "-i", "text=@-", "--priority", "9", "--tag", "a=b", "-d"),
        stdin="piped",
    )

    sent = server.bodies[-1]
    assert sent["inputs"] == {"text": "piped"}
    assert (sent["priority"], sent["tags"]) == (9, {"a": "b"})


def test_the_runs_before_reach_the_server_and_at_last_is_one_of_them(
    shell: Shell, server: PretendServer
) -> None:
    shell("run", "wordcount", "-i", "text=a", "-d")

    shell(
        *("run", "wordcount", "-i", "text=a", "-d"),
        *("--after", "@last", "--after", "01hx3k00", "--after-any", "run_01hx3k01"),
    )

    sent = server.bodies[-1]
    assert sent["after"] == [RUN_ID, "run_01hx3k00"]
    assert sent["after_any"] == ["run_01hx3k01"]


@pytest.mark.parametrize("option", ["--after", "--after-any"])
def test_a_run_here_comes_after_nothing_on_a_server(
    shell: Shell, server: PretendServer, option: str
) -> None:
    code, _, err = shell("run", ".", "--local", option, "run_01hx3k00")

    assert code == 2
    assert f"{option} is for runs on a server" in err
    assert server.seen == []


def test_a_file_input_is_stored_first_and_named_by_its_hash(
    shell: Shell, server: PretendServer, tmp_path: Path
) -> None:
    tile = tmp_path / "tile.tif"
    tile.write_bytes(b"abc")

    shell("run", "wordcount", "-i", "text=a", "-i", f"tile=@{tile}", "-d")

    artifact = server.bodies[-1]["inputs"]["tile"]["$artifact"]
    assert artifact["sha256"].startswith("ba7816bf")
    assert (artifact["size_bytes"], artifact["name"]) == (3, "tile.tif")
    assert f"PUT /artifacts/{artifact['sha256']}" in server.seen


def test_an_image_runs_without_an_op(shell: Shell, server: PretendServer) -> None:
    shell("run", "--image", "busybox", "-i", "n=1", "-d")

    assert server.bodies[-1]["image"] == "busybox"
    assert server.bodies[-1]["inputs"] == {"n": 1}


def test_a_run_can_be_asked_for_later(shell: Shell, server: PretendServer) -> None:
    shell("run", "--image", "busybox", "--in", "1h30m", "-d")
    shell("run", "--image", "busybox", "--at", "2099-05-04T08:00:00Z", "-d")

    assert [body.get("due_in_s") for body in server.bodies[-2:]] == [5400, None]
    assert server.bodies[-1]["due_at"] == "2099-05-04T08:00:00.000000Z"


def test_two_ways_to_say_when_are_one_too_many(shell: Shell, server: PretendServer) -> None:
    code, _, err = shell("run", "--image", "busybox", "--in", "1h", "--at", "22:30")

    assert code == 2
    assert "leave one out" in err
    assert server.bodies == []


def test_an_unknown_op_is_answered_with_near_names(shell: Shell) -> None:
    code, _, err = shell("run", "wordcuont")

    assert code == 5
    assert "did you mean wordcount?" in err


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [(401, "NOT_AUTHENTICATED", 4), (409, "RUN_ENDED", 6), (422, "INVALID_INPUT", 7)],
)
def test_a_refusal_is_told_in_the_servers_words(
    shell: Shell, server: PretendServer, status: int, code: str, exit_code: int
) -> None:
    server.refuse = (status, code, "because of this")

    ended, out, err = shell("cancel", RUN_ID)

    assert (ended, out) == (exit_code, "")
    assert "because of this" in err


def test_a_server_that_is_away_ends_with_8_and_how_to_start_it(tmp_path: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    context = Context(
        streams=Streams(io.StringIO(), out, err),
        environment={"XDG_STATE_HOME": str(tmp_path), "GYOZA_SERVER_URL": "http://127.0.0.1:1"},
    )

    code = main(["ps"], context)

    assert (code, out.getvalue()) == (8, "")
    assert "gyoza dev" in err.getvalue()


def test_logs_are_raw_for_a_pipe_and_harmless_for_a_terminal(
    shell: Shell, server: PretendServer
) -> None:
    server.logs = "\x1b]0;owned\x07\x1b[31mred\n"

    assert shell("logs", RUN_ID)[1] == server.logs
    assert shell("logs", RUN_ID, terminal=True)[1] == "red\n"


def test_what_a_run_wrote_about_itself_is_harmless_in_show(
    shell: Shell, server: PretendServer
) -> None:
    server.run = a_failed_run("USER_ERROR", "boom \x1b[2J")

    assert "\x1b" not in shell("show", RUN_ID, terminal=True)[1]


@pytest.mark.parametrize(
    ("words", "shown"),
    [((), "one\ntwo\nthree\n"), (("--tail", "2"), "two\nthree\n"), (("-f",), "one\ntwo\nthree\n")],
)
def test_logs_are_whole_or_their_last_lines(
    shell: Shell, words: tuple[str, ...], shown: str
) -> None:
    assert shell("logs", RUN_ID, *words)[1] == shown


def test_a_waiting_run_says_why(shell: Shell, server: PretendServer) -> None:
    server.run = a_run()

    assert "waits for VRAM" in shell("show", RUN_ID)[1]


def test_an_empty_list_says_what_would_fill_it(shell: Shell, server: PretendServer) -> None:
    server.has_runs = False

    _, out, err = shell("ps")

    assert RUN_ID not in out
    assert "`gyoza run OP` makes one" in err


def test_quiet_prints_ids_only(shell: Shell) -> None:
    assert shell("ps", "-q") == (0, f"{RUN_ID}\n", "")
    assert shell("op", "list", "-q") == (0, "wordcount\n", "")
    assert shell("worker", "list", "-q") == (0, "wrk_1\n", "")


def test_a_worker_shows_what_is_taken_of_what_it_has(shell: Shell) -> None:
    assert shell("worker", "list")[1].splitlines()[1].split("\t") == [
        *("atlas", "READY", "1", "2/8", "512/16000", "GPU-1 24576 MB", "zone=attic", "0s")
    ]


@pytest.mark.parametrize(
    ("verb", "said", "sent"),
    [
        ("drain", "atlas gets no new work; it still holds 1", "POST /workers/atlas/drain"),
        ("resume", "atlas gets work again", "POST /workers/atlas/resume"),
        ("remove", "wrk_1 is removed", "DELETE /workers/wrk_1"),
    ],
)
def test_workers_are_drained_resumed_and_removed_by_name(
    shell: Shell, server: PretendServer, verb: str, said: str, sent: str
) -> None:
    code, out, _ = shell("worker", verb, "atlas")

    assert (code, out) == (0, f"{said}\n")
    assert server.seen[-1] == sent
    assert shell("worker", verb, "atlas", "-q") == (0, "wrk_1\n", "")
    assert json.loads(shell("worker", verb, "atlas", "--json")[1])["items"][0]["id"] == "wrk_1"


def test_a_worker_is_shown_gpu_by_gpu_with_what_is_wrong(
    shell: Shell, server: PretendServer
) -> None:
    sick = {"uuid": "GPU-2", "vram_mb": 8000, "index": 1, "problem": "in quarantine: 3 ops"}
    well = {"uuid": "GPU-1", "vram_mb": 24576, "used_mb": 1000, "name": "A10"}
    server.worker.update(
        capacity={"cpu": 8, "ram_mb": 16000, "gpus": [well, sick]},
        reserved={"cpu": 2, "ram_mb": 512, "vram_mb": 4000, "gpus": {"GPU-1": 4000}},
    )

    code, out, err = shell("worker", "show", "atlas")

    rows = [line.split("\t") for line in out.splitlines() if "\t" in line]
    assert code == 0
    assert rows[-2:] == [
        ["0", "GPU-1", "A10", "24576", "4000", "1000", "19576", "well"],
        ["1", "GPU-2", "", "8000", "0", "0", "0", "in quarantine: 3 ops"],
    ]
    assert "`gyoza worker resume atlas --gpu GPU-2`" in err
    assert "GPU-2 8000 MB (in quarantine)" in shell("worker", "list")[1]
    assert shell("worker", "show", "atlas", "-q") == (0, "wrk_1\n", "")
    assert json.loads(shell("worker", "show", "atlas", "--json")[1])["id"] == "wrk_1"


def test_a_gpu_of_a_worker_is_resumed_alone(shell: Shell, server: PretendServer) -> None:
    code, out, _ = shell("worker", "resume", "atlas", "--gpu", "GPU-1")

    assert (code, out) == (0, "GPU-1 of atlas gets work again\n")
    assert server.seen[-1] == "POST /workers/atlas/resume"
    assert server.bodies[-1] == {"gpu": "GPU-1"}
    assert "has no GPU-9 any more" in shell("worker", "resume", "atlas", "--gpu", "GPU-9")[1]


def test_a_worker_that_holds_runs_is_not_removed_and_the_refusal_is_told(
    shell: Shell, server: PretendServer
) -> None:
    server.refuse = (409, "WORKER_BUSY", "worker wrk_1 holds run_1; drain it and wait")

    code, out, err = shell("worker", "remove", "atlas")

    assert (code, out) == (6, "")
    assert "holds run_1" in err


@pytest.mark.parametrize("state", ["READY", "DRAINING", "UNHEALTHY"])
def test_a_worker_that_lives_is_not_removed_since_it_would_come_back(
    shell: Shell, server: PretendServer, state: str
) -> None:
    server.worker.update(state=state, runs=[])

    code, out, err = shell("worker", "remove", "atlas")

    assert (code, out) == (6, "")
    assert f"atlas (wrk_1) is {state}: it would register again" in err
    assert "`gyoza worker drain wrk_1`" in err
    assert "DELETE /workers/wrk_1" not in server.seen


def test_a_worker_that_lives_is_removed_by_force_and_its_return_is_told(
    shell: Shell, server: PretendServer
) -> None:
    server.worker.update(runs=[])

    code, out, err = shell("worker", "remove", "atlas", "--force")

    assert (code, out) == (0, "wrk_1 is removed\n")
    assert "wrk_1 lives and registers again" in err
    assert server.seen[-1] == "DELETE /workers/wrk_1"


@pytest.mark.parametrize("state", ["SILENT", "LOST"])
def test_a_worker_that_is_silent_is_removed(
    shell: Shell, server: PretendServer, state: str
) -> None:
    server.worker.update(state=state, runs=[])

    assert shell("worker", "remove", "atlas") == (0, "wrk_1 is removed\n", "")


def test_deploy_without_an_engine_keeps_the_tag_and_says_so(
    shell: Shell, server: PretendServer, tmp_path: Path
) -> None:
    (tmp_path / "gyoza.yml").write_text("id: wordcount\nversion: '2'\nimage: words:2\n")

    code, out, err = shell("deploy", str(tmp_path))

    assert (code, server.bodies[-1].get("image_digest")) == (0, None)
    assert "the tag is kept as it is" in err
    assert "is deployed" in out


def test_a_dry_run_shows_the_changes_and_makes_none(
    shell: Shell, server: PretendServer, tmp_path: Path
) -> None:
    (tmp_path / "gyoza.yml").write_text("id: wordcount\nversion: '2'\nimage: words:1\n")

    code, out, _ = shell("deploy", str(tmp_path), "--dry-run")

    assert code == 0
    assert "~ version: 1.0.0 -> 2" in out
    assert "- inputs.text: string" in out
    assert "! BREAKING inputs.text: removed" in out
    assert "PUT /definitions?dry_run=true" in server.seen
    assert "PUT /definitions" not in server.seen


def test_a_dry_run_tells_a_program_the_same(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "gyoza.yml").write_text("id: wordcount\nversion: '2'\nimage: words:1\n")

    code, out, _ = shell("deploy", str(tmp_path), "--dry-run", "--exit-code", "--json")

    told = json.loads(out)
    assert (code, told["would_change"]) == (20, True)
    assert (told["from_version"], told["to_version"]) == ("1.0.0", "2")
    assert {"field": "version", "before": "1.0.0", "after": "2"} in told["changes"]
    assert [each["field"] for each in told["breaking"]] == ["inputs.text", "inputs.tile"]


def test_an_exit_code_is_only_there_for_a_dry_run(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "gyoza.yml").write_text("id: wordcount\nversion: '2'\nimage: words:1\n")

    code, _, err = shell("deploy", str(tmp_path), "--exit-code")

    assert (code, "--dry-run" in err) == (2, True)


def test_a_project_that_has_to_be_built_needs_an_engine(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "gyoza.yml").write_text("id: wordcount\nversion: '2'\nentrypoint: a:b\n")

    code, _, err = shell("deploy", str(tmp_path))

    assert code == 8
    assert "wordcount:2 cannot be built: no container engine answers" in err


def test_a_project_without_image_or_entrypoint_is_told_what_is_missing(
    shell: Shell, tmp_path: Path
) -> None:
    (tmp_path / "gyoza.yml").write_text("id: wordcount\nversion: '2'\n")

    code, _, err = shell("deploy", str(tmp_path))

    assert code == 7
    assert "entrypoint: missing, and no function of this folder is decorated" in err


def test_a_broken_project_file_is_invalid_with_file_and_line(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "gyoza.yml").write_text("id: a\nversion: '1'\nimag: x\n")

    code, _, err = shell("deploy", str(tmp_path))

    assert code == 7
    assert "gyoza.yml:3: imag: unknown field; did you mean image?" in err


def test_a_version_that_exists_with_other_content_is_a_conflict_with_the_way_out(
    shell: Shell, server: PretendServer, tmp_path: Path
) -> None:
    (tmp_path / "gyoza.yml").write_text("id: wordcount\nversion: '1'\nimage: x\n")
    server.refuse = (409, "VERSION_CONFLICT", "version 1 has other content")

    code, _, err = shell("deploy", str(tmp_path))

    assert code == 6
    assert "version 1 has other content" in err
