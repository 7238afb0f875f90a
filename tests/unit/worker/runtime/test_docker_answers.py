"""The engine's answers read into values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gyoza.worker.runtime.docker import pull_parameters
from gyoza.worker.runtime.docker_answers import (
    PullMeter,
    checked_reference,
    container_state,
    engine_info,
    image_info,
    moment,
)
from gyoza.worker.runtime.interface import ContainerState, ImageNotFound

DIGEST = "sha256:" + "ab" * 32


def a_state(**changes: Any) -> dict[str, Any]:
    state = {
        "Status": "exited",
        "ExitCode": 3,
        "OOMKilled": False,
        "StartedAt": "2026-01-01T00:00:00.123456789Z",
        "FinishedAt": "2026-01-01T00:00:01.5Z",
        "Error": "",
    }
    return {"State": {**state, **changes}}


def test_an_ended_container_is_read_with_its_end() -> None:
    assert container_state(a_state()) == ContainerState(
        "exited",
        exit_code=3,
        oom_killed=False,
        started_at=datetime(2026, 1, 1, 0, 0, 0, 123456, UTC),
        finished_at=datetime(2026, 1, 1, 0, 0, 1, 500000, UTC),
        error="",
    )


def test_a_running_container_has_no_exit_code_though_the_engine_says_zero() -> None:
    state = container_state(
        a_state(Status="running", ExitCode=0, FinishedAt="0001-01-01T00:00:00Z")
    )

    assert state.exit_code is None
    assert state.finished_at is None
    assert not state.has_ended


def test_a_container_that_could_not_start_counts_as_ended() -> None:
    state = container_state(
        a_state(
            Status="created", ExitCode=127, Error="no such user", StartedAt="0001-01-01T00:00:00Z"
        )
    )

    assert state.has_ended
    assert state.exit_code is None
    assert state.started_at is None


def test_the_zero_time_is_no_time() -> None:
    assert moment("0001-01-01T00:00:00Z") is None
    assert moment("") is None


@pytest.mark.parametrize(
    ("ref", "digests", "expected"),
    [
        ("r.example/op:1", [f"r.example/op@{DIGEST}"], f"r.example/op@{DIGEST}"),
        ("op:1", [f"other@{DIGEST}", f"op@{DIGEST}"], f"op@{DIGEST}"),
        (DIGEST, [f"op@{DIGEST}"], f"op@{DIGEST}"),
        ("op:1", [], None),
        ("op:1", None, None),
    ],
)
def test_an_image_carries_the_digest_of_the_repository_asked_for(
    ref: str, digests: list[str] | None, expected: str | None
) -> None:
    info = image_info(ref, {"Id": DIGEST, "RepoDigests": digests, "Size": 12})

    assert info.repo_digest == expected
    assert info.id == DIGEST


@pytest.mark.parametrize(("runtimes", "has_gpus"), [(["runc"], False), (["nvidia", "runc"], True)])
def test_an_engine_with_the_nvidia_runtime_can_show_gpus(
    *, runtimes: list[str], has_gpus: bool
) -> None:
    info = {"ID": "x", "NCPU": 2, "MemTotal": 1 << 30, "Runtimes": {name: {} for name in runtimes}}

    engine = engine_info(info, {"Version": "28.0", "ApiVersion": "1.48"})

    assert engine.capabilities.gpus is has_gpus
    assert engine.memory_mb == 1024


@pytest.mark.parametrize(
    "ref",
    ["op", "op:1", "team/op:7", "localhost:5000/team/op@" + DIGEST, DIGEST, "a__b.c-d/e:v1.0_x"],
)
def test_an_image_reference_is_let_through(ref: str) -> None:
    assert checked_reference(ref) == ref


@pytest.mark.parametrize(
    "ref",
    ["", "../info", "x/../../info", "op?all=1", "op#x", "op 1", "op%2f..", "/op", "op//x", "a\nb"],
)
def test_what_would_lead_to_another_call_is_no_image_reference(ref: str) -> None:
    with pytest.raises(ImageNotFound, match="is not an image reference"):
        checked_reference(ref)


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("op", {"fromImage": "op", "tag": "latest"}),
        ("localhost:5000/op", {"fromImage": "localhost:5000/op", "tag": "latest"}),
        ("op:1", {"fromImage": "op:1"}),
        (f"op@{DIGEST}", {"fromImage": f"op@{DIGEST}"}),
    ],
)
def test_a_bare_name_is_pulled_as_latest_and_never_as_all_tags(
    ref: str, expected: dict[str, str]
) -> None:
    assert pull_parameters(ref) == expected


def test_a_local_image_id_cannot_be_pulled() -> None:
    with pytest.raises(ImageNotFound, match="local image id"):
        pull_parameters(DIGEST)


def test_the_progress_of_a_pull_is_the_sum_of_its_layers() -> None:
    meter = PullMeter()
    meter.take({"status": "Pulling from team/op", "id": "1"})
    meter.take(downloading("a", 10, 100))
    meter.take(downloading("b", 5, 50))

    grown = meter.take(downloading("a", 60, 100))
    done = meter.take({"status": "Download complete", "id": "a", "progressDetail": {}})

    assert (grown.done_bytes, grown.total_bytes) == (65, 150)
    assert (done.done_bytes, done.total_bytes) == (105, 150)
    assert done.text == "a: Download complete"


def downloading(layer: str, current: int, total: int) -> dict[str, Any]:
    detail = {"current": current, "total": total}
    return {"status": "Downloading", "id": layer, "progressDetail": detail}
