"""Three workers with three different reasons, each named by `explain`: a real server process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from gyoza.client import GyozaClient
from gyoza.models import Constraints, OpRun
from tests.stories.stage import THREE, a_stage


def until(condition: Callable[[], object]) -> None:
    for _ in range(400):
        if condition():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it did not come to pass")


def test_three_workers_with_three_different_reasons_are_all_named(tmp_path: Path) -> None:
    with a_stage(tmp_path, THREE) as url, GyozaClient(url) as client:
        client.drain_worker("boreas")
        holder = client.create_run("patient:1", {}, constraints=Constraints(vram_mb=20_000))
        until(lambda: client.get_run(holder.id).worker_id)
        waits = client.create_run("silent:1", {}, constraints=Constraints(vram_mb=16_000))

        told = client.explain(waits.id)
        by_name = {worker["name"]: worker["reasons"] for worker in told["workers"]}
        changes = {change["name"]: change["command"] for change in told["changes"]}

        assert told["verdict"] == "LATER"
        assert by_name == {
            "atlas": ["needs 16000 MB VRAM, 4576 free on gpu 0"],
            "boreas": ["is DRAINING"],
            "caldera": ["needs 16000 MB VRAM, has no GPU"],
        }
        assert [each["run_id"] for each in told["in_its_place"]] == [holder.id]
        assert changes["resume_worker"] == "gyoza worker resume boreas"

        client.resume_worker("boreas")

        until(lambda: client.get_run(waits.id).is_terminal)
        ended = client.explain(waits.id)
        assert (ended["state"], ended["attempts"][0]["next"]) == ("COMPLETED", "end")


def test_what_nobody_could_ever_take_is_told_in_the_list_at_once(tmp_path: Path) -> None:
    with a_stage(tmp_path) as url, GyozaClient(url) as client:
        run: OpRun = client.create_run("silent:1", {}, constraints=Constraints(cpu=64))

        (document,) = client.list_run_documents(state="PENDING")

        assert document["id"] == run.id
        assert document["waiting"]["verdict"] == "NEVER"
        assert document["waiting"]["summary"].endswith("needs 64 CPU, the most is 8")
