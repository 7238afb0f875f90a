"""`gyoza simulate` from the words typed to what stands on the streams."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gyoza.cli.app import main
from gyoza.cli.context import Context, Streams
from tests.integration.cli.pretend_server import PretendServer
from tests.support.run_documents import START, a_run

LOAD = "lasts: 2h\nruns: [{op: tile, per_hour: 60, takes: 2m, owner: ann},\n"
LOAD += "  {op: train, per_hour: 20, takes: 10m, vram: 8GiB, owner: bob}]\n"
FLEET = "workers: [{cpu: 2, ram: 8GiB, gpus: [8GiB]}]\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "load.yml").write_text(LOAD)
    (tmp_path / "now.yml").write_text(FLEET)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def server() -> PretendServer:
    return PretendServer()


@pytest.fixture
def shell(folder: Path, server: PretendServer) -> Callable[..., tuple[int, str, str]]:
    def call(*words: str, terminal: bool = False) -> tuple[int, str, str]:
        out, err = Terminal() if terminal else io.StringIO(), io.StringIO()
        context = Context(
            streams=Streams(io.StringIO(), out, err),
            environment={"XDG_STATE_HOME": str(folder)},
            now=lambda: START,
            transport=server.transport(),
        )
        code = main(("simulate", *words), context)
        return code, out.getvalue(), err.getvalue()

    return call


Shell = Callable[..., tuple[int, str, str]]


def test_a_load_on_a_fleet_gives_its_figures_and_those_of_each_owner_and_op(shell: Shell) -> None:
    code, out, err = shell("load.yml", "--fleet", "now.yml")

    assert (code, err) == (0, "")
    lines = out.splitlines()
    names = [line.split("\t")[0] for line in lines]
    assert names[:4] == ["", "workers", "runs", "never placed"]
    assert {"wait, mean", "wait, p99", "makespan", "CPU used", "VRAM used"} <= set(names)
    assert {"OWNER", "ann", "bob", "OP", "tile", "train"} <= set(names)
    assert "PRIORITY" not in names


def test_the_same_command_prints_the_same(shell: Shell) -> None:
    assert shell("load.yml", "--fleet", "now.yml") == shell("load.yml", "--fleet", "now.yml")


def test_fleets_stand_side_by_side(shell: Shell, folder: Path) -> None:
    (folder / "more.yml").write_text(FLEET.replace("cpu: 2", "count: 2, cpu: 2"))
    added = "box: cpu=2 ram=8GiB gpu=8GiB x2"

    _, out, _ = shell("load.yml", "--fleet", "now.yml", "--fleet", "more.yml", "--add", added)

    rows = [line.split("\t") for line in out.splitlines()]
    assert rows[0] == ["", "now", "more", "now + 2 x box"]
    assert rows[1] == ["workers", "1", "2", "3"]
    assert ["OWNER", "FLEET", "RUNS"] in [row[:3] for row in rows]


def test_more_workers_shorten_the_waits(shell: Shell) -> None:
    added = "box: cpu=8 ram=32GiB gpu=8GiBx2 x2"

    _, out, _ = shell("load.yml", "--fleet", "now.yml", "--add", added, "--json")

    now, more = json.loads(out)["fleets"]
    assert more["waits"]["mean_s"] < now["waits"]["mean_s"] / 2


def test_the_json_has_every_figure(shell: Shell) -> None:
    _, out, _ = shell("load.yml", "--fleet", "now.yml", "--json")

    document = json.loads(out)
    assert set(document["load"]) == {"name", "runs", "span_s", "left_out"}
    fleet = document["fleets"][0]
    assert {"name", "workers", "step_s", "plans", "never", "makespan_s", "deepest"} <= set(fleet)
    assert set(fleet["waits"]) == {"runs", "mean_s", "p50_s", "p90_s", "p99_s", "most_s"}
    assert set(fleet["used"]) == {"cpu", "ram", "vram"}
    assert len(fleet["course"]["queued"]) == len(fleet["course"]["used"]["cpu"]) == 120


def test_a_terminal_sees_queue_and_use_over_time(shell: Shell) -> None:
    _, out, _ = shell("load.yml", "--fleet", "now.yml", terminal=True)

    assert "queue " in out
    assert "█" in out


def test_a_picture_is_written_where_it_is_wanted(shell: Shell, folder: Path) -> None:
    code, _, _ = shell("load.yml", "--fleet", "now.yml", "--plot", "out.svg")

    assert code == 0
    assert (folder / "out.svg").read_text().startswith("<svg")


def test_runs_that_no_worker_could_take_are_told_with_their_needs(
    shell: Shell, folder: Path
) -> None:
    (folder / "load.yml").write_text("runs: [{per_hour: 9, takes: 1m, vram: 48GiB}]")

    code, _, err = shell("load.yml", "--fleet", "now.yml")

    assert code == 0
    assert "no worker of now could ever take" in err
    assert "49152 MB VRAM" in err


def test_a_seed_and_a_step_can_be_given(shell: Shell) -> None:
    _, out, err = shell("load.yml", "--fleet", "now.yml", "--seed", "9", "--step", "30s")

    assert out != shell("load.yml", "--fleet", "now.yml")[1]
    assert "planned once in 30 s" in err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("load.yml",), 2, "there are no workers to replay it on: name a --fleet"),
        ((), 2, "name a LOAD, or take the server's with --from-server"),
        (("load.yml", "--from-server"), 2, "not both"),
        (("load.yml", "--fleet", "absent.yml"), 2, "absent.yml: no such file"),
        (("now.yml", "--fleet", "now.yml"), 7, "now.yml has no `runs`"),
        (("load.yml", "--fleet", "load.yml"), 7, "load.yml has no `workers`"),
        (("load.yml", "--fleet", "now.yml", "--plot", "a.png"), 2, "--plot draws SVG only"),
        (("load.yml", "--fleet", "now.yml", "--step", "soon"), 2, "expected a duration"),
        (("load.yml", "--fleet", "now.yml", "--add", "cpu=2 rum=2G"), 2, "did you mean ram?"),
        (("--record", "week.txt"), 2, "a recording is called something.jsonl"),
    ],
)
def test_what_cannot_be_replayed_is_told_in_words(
    shell: Shell, words: tuple[str, ...], code: int, said: str
) -> None:
    found, out, err = shell(*words)

    assert (found, out) == (code, "")
    assert said in err


def test_the_servers_load_is_recorded_and_replayed_on_its_present_fleet(
    shell: Shell, folder: Path
) -> None:
    code, out, err = shell("--from-server", "--since", "30d", "--record", "week.jsonl")

    assert code == 0, err
    assert "1 runs written to week.jsonl" in err
    assert len((folder / "week.jsonl").read_text().splitlines()) == 2
    assert out.splitlines()[0] == "\tpresent"
    again, repeated, _ = shell("week.jsonl")
    assert again == 0
    assert repeated.splitlines()[1:] == out.splitlines()[1:]


def test_a_server_without_such_runs_says_so(shell: Shell, server: PretendServer) -> None:
    server.run = a_run()

    code, _, err = shell("--from-server", "--since", "30d")

    assert code == 5
    assert "no run of the last 30d" in err
    assert "1 runs of which no attempt has started and ended" in err
