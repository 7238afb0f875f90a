"""Hostile ops in real containers: each ends as the table says and leaves nothing behind."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gyoza.models import OpDefinition, OpRun
from tests.system.hostile.cases import CASES, Case
from tests.system.hostile.conftest import CANARY_CONTENT, Arena
from tests.system.hostile.policy import MEMORY_MB, deviations

if TYPE_CHECKING:
    from gyoza.client import RunHandle

pytestmark = [pytest.mark.system, pytest.mark.docker, pytest.mark.timeout(300)]

# Long enough for the observer to inspect the container while it runs.
SEEN = "sleep 0.4; "


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_an_op_that(case: Case, arena: Arena) -> None:
    handle = _start(case, arena)

    run = handle.wait(timeout=case.within_s)

    assert (run.state, run.reason) == (case.state, case.reason), _told(run)
    message = run.execution_summary.error_message or ""
    assert [word for word in case.words if word not in message] == [], message
    assert arena.canary.read_text() == CANARY_CONTENT
    assert "stolen" not in repr(run.to_dict())
    memory_mb = case.constraints.get("ram_mb", MEMORY_MB)
    assert deviations(arena.observer.inspections[run.id], memory_mb=memory_mb) == []
    assert _left_behind(arena) == []


def test_what_is_kept_of_a_log_flood_is_bounded_and_says_so(arena: Arena) -> None:
    flood = Case("flood", "yes 'lorem ipsum dolor' | head -c 60000000; echo the end >&2")
    handle = _start(flood, arena)

    handle.wait(timeout=60)

    text = "".join(chunk.text for chunk in handle.logs())
    assert len(text) < 11 * 2**20
    assert re.search(r"\d+ bytes dropped", text)


def _start(case: Case, arena: Arena) -> RunHandle:
    slug = re.sub(r"[^a-z0-9]+", "-", case.name.lower())
    script = SEEN + case.script.replace("CANARY_FOLDER", str(arena.canary.parent))
    script = script.replace("CANARY", str(arena.canary))
    definition = OpDefinition.from_dict(
        {
            "id": f"hostile-{slug}",
            "version": "1",
            "image": arena.image,
            "output_specs": case.outputs,
            "constraints": case.constraints,
            "execution": {"command": ["/bin/sh", "-c", script], **case.execution},
        }
    )
    arena.client.upsert_definition(definition)
    return arena.client.run(definition.id, {})


def _left_behind(arena: Arena) -> list[str]:
    """Containers, folders and mounts that are still there after a fair while."""
    end = time.monotonic() + 15
    while (leftovers := _leftovers(arena)) and time.monotonic() < end:
        time.sleep(0.05)
    return leftovers


def _leftovers(arena: Arena) -> list[str]:
    runs = arena.stack.worker_state / "runs"
    # The engine is the machine's: containers of other clusters are nobody's leftovers here.
    workers = {worker.id for worker in arena.client.list_workers()}
    mounts = Path("/proc/mounts").read_text().splitlines()
    return [
        *(
            f"container {container['Names']}"
            for container in arena.engine.managed()
            if container["Labels"].get("org.gyoza.worker") in workers
        ),
        *(f"folder {folder}" for folder in (runs.iterdir() if runs.exists() else ())),
        *(f"mount {mount}" for mount in mounts if str(arena.stack.folder) in mount),
    ]


def _told(run: OpRun) -> str:
    return f"{run.state} {run.reason}: {run.execution_summary.error_message}"
