"""What the doctor makes of what it sees: values in, findings out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gyoza.cli.checkup.asking import Answered
from gyoza.cli.checkup.client import judge_key
from gyoza.cli.checkup.disk import judge_room
from gyoza.cli.checkup.engine import judge_absence, judge_engine
from gyoza.cli.checkup.findings import Finding, Status, is_healthy, version_of
from gyoza.cli.checkup.gpu import check_gpu, judge_runtime, judge_toolkit
from gyoza.cli.checkup.server import judge_clock, judge_readiness, judge_workers

VERSION: dict[str, Any] = {
    "Version": "29.0.0",
    "ApiVersion": "1.52",
    "Components": [{"Name": "runc", "Version": "1.3.3"}],
}
INFO: dict[str, Any] = {
    "LiveRestoreEnabled": True,
    "CgroupVersion": "2",
    "CgroupDriver": "systemd",
    "MemoryLimit": True,
    "CpuCfsQuota": True,
    "PidsLimit": True,
    "SwapLimit": True,
    "Driver": "overlay2",
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"],
    "Plugins": {"Log": ["json-file", "local"]},
}
NOON = datetime(2031, 5, 4, 12, 0, 0, tzinfo=UTC)


def of_engine(name: str, version: dict[str, Any] | None = None, **changes: Any) -> Finding:
    findings = judge_engine("unix:///e", {**VERSION, **(version or {})}, {**INFO, **changes})
    return next(finding for finding in findings if finding.name == name)


def test_an_engine_as_it_should_be_has_no_remedy() -> None:
    findings = judge_engine("unix:///e", VERSION, INFO)

    assert {finding.status for finding in findings} == {Status.OK}
    assert {finding.remedy for finding in findings} == {""}


@pytest.mark.parametrize(
    ("name", "changes", "status"),
    [
        ("live-restore", {"LiveRestoreEnabled": False}, Status.WARN),
        ("cgroup", {"CgroupVersion": "1"}, Status.WARN),
        ("limits", {"MemoryLimit": False}, Status.FAIL),
        ("limits", {"SwapLimit": False}, Status.WARN),
        ("storage", {"Driver": "vfs"}, Status.WARN),
        ("isolation", {"SecurityOptions": []}, Status.WARN),
        ("logs", {"Plugins": {"Log": ["json-file"]}}, Status.FAIL),
    ],
)
def test_an_engine_that_lacks_something_says_what_to_do(
    name: str, changes: dict[str, Any], status: Status
) -> None:
    finding = of_engine(name, **changes)

    assert finding.status is status
    assert finding.remedy


@pytest.mark.parametrize(
    ("runc", "status"),
    [
        ("1.1.5+ds1", Status.WARN),
        ("1.2.7", Status.WARN),
        ("1.2.8", Status.OK),
        ("1.3.2", Status.WARN),
        ("1.3.3", Status.OK),
        ("1.4.0-rc.1", Status.OK),
    ],
)
def test_a_runc_that_containers_escape_from_is_told(runc: str, status: Status) -> None:
    version = {"Components": [{"Name": "runc", "Version": runc}]}

    assert of_engine("runc", version).status is status


def test_an_engine_older_than_its_oldest_api_fails() -> None:
    assert of_engine("reachable", {"ApiVersion": "1.40"}).status is Status.FAIL


def test_an_absent_engine_fails_where_a_worker_is_installed_and_else_is_a_warning() -> None:
    assert judge_absence("unix:///e", "gone", is_needed=True).status is Status.FAIL
    assert judge_absence("unix:///e", "gone", is_needed=False).status is Status.WARN


def test_a_socket_that_one_may_not_use_has_a_remedy_of_its_own() -> None:
    assert "usermod" in judge_absence("unix:///e", "permission denied", is_needed=True).remedy


@pytest.mark.parametrize(
    ("date", "status", "words"),
    [
        ("Sun, 04 May 2031 12:00:00 GMT", Status.OK, "within"),
        ("Sun, 04 May 2031 12:01:00 GMT", Status.WARN, "60 s ahead of"),
        ("Sun, 04 May 2031 11:59:00 GMT", Status.WARN, "60 s behind"),
        (None, Status.SKIPPED, "no date"),
        ("yesterday", Status.SKIPPED, "no date"),
    ],
)
def test_clocks_are_compared(date: str | None, status: Status, words: str) -> None:
    finding = judge_clock(date, NOON)

    assert finding.status is status
    assert words in finding.seen


def test_a_server_that_is_not_ready_is_told_with_its_reasons_only() -> None:
    document = {"checks": {"store": "not available; the log says why", "server": "ok"}}

    finding = judge_readiness(Answered(503, {}, document))

    assert finding.status is Status.FAIL
    assert finding.seen == "store: not available; the log says why"


def test_a_note_of_a_ready_server_is_a_warning() -> None:
    document = {"checks": {"store": "ok"}, "notes": ["nothing expires for 90 s"]}

    assert judge_readiness(Answered(200, {}, document)).status is Status.WARN


def test_without_a_ready_worker_runs_will_wait() -> None:
    lost = {"name": "atlas", "state": "LOST", "version": "1"}

    assert [each.status for each in judge_workers([], "1")] == [Status.WARN]
    assert [each.status for each in judge_workers([lost], "1")] == [Status.WARN, Status.WARN]


def test_a_gpu_that_gets_no_work_is_told_with_the_command_that_ends_it() -> None:
    gpus = [{"uuid": "GPU-1"}, {"uuid": "GPU-2", "index": 1, "problem": "in quarantine: why"}]
    ready = {"name": "atlas", "state": "READY", "version": "1", "capacity": {"gpus": gpus}}

    _, finding = judge_workers([ready], "1")

    assert (finding.name, finding.seen) == ("gpu 1 of atlas", "in quarantine: why")
    assert "gyoza worker resume atlas --gpu GPU-2" in finding.remedy


def test_declared_gpus_are_all_that_there_is_to_say_of_gpus() -> None:
    (finding,) = check_gpu({"GYOZA_GPUS": "24576,24576"}, {})

    assert finding.status is Status.OK
    assert "24576,24576" in finding.seen


def test_a_worker_of_another_version_is_told() -> None:
    ready = {"name": "atlas", "state": "READY", "version": "0.9"}

    assert "version 0.9 with a server of 1.0" in judge_workers([ready], "1.0")[0].seen


@pytest.mark.parametrize(
    ("key", "status"),
    [("", Status.OK), ("abc", Status.OK), (" abc", Status.FAIL), ("a\nb", Status.FAIL)],
)
def test_a_key_that_no_header_takes_fails(key: str, status: Status) -> None:
    assert judge_key({"GYOZA_API_KEY": key}).status is status


def test_the_key_itself_is_never_shown() -> None:
    assert "secret" not in judge_key({"GYOZA_API_KEY": "secret"}).seen


@pytest.mark.parametrize(
    ("free_bytes", "status"),
    [(20_000_000_000, Status.OK), (2_000_000_000, Status.WARN), (500_000_000, Status.FAIL)],
)
def test_a_full_disk_fails_before_it_is_full(free_bytes: int, status: Status) -> None:
    assert judge_room("data", Path("/d"), free_bytes).status is status


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("NVIDIA Container Toolkit CLI version 1.17.7", Status.WARN),
        ("NVIDIA Container Toolkit CLI version 1.17.8", Status.OK),
        ("NVIDIA Container Toolkit CLI version 1.20.0", Status.OK),
        ("something else", Status.WARN),
    ],
)
def test_an_old_container_toolkit_is_told(words: str, status: Status) -> None:
    assert judge_toolkit(words).status is status


def test_an_engine_that_cannot_hand_out_gpus_fails(tmp_path: Path) -> None:
    nothing = {"Runtimes": {"runc": {}}, "CDISpecDirs": [str(tmp_path)]}
    with_runtime = {"Runtimes": {"nvidia": {}}}

    assert judge_runtime(nothing).status is Status.FAIL
    assert judge_runtime(with_runtime).status is Status.OK
    (tmp_path / "nvidia.yaml").write_text("")
    assert judge_runtime(nothing).status is Status.OK


def test_warnings_are_no_failure() -> None:
    warning = Finding("engine", "runc", Status.WARN, "old", "upgrade")

    assert is_healthy([warning])
    assert not is_healthy([warning, Finding("disk", "data", Status.FAIL, "full", "make room")])


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("1.1.5+ds1", (1, 1, 5)), ("v1.3.0-rc.1", (1, 3, 0)), ("20.10.24", (20, 10, 24)), ("x", ())],
)
def test_the_numbers_of_a_version_are_read(text: str, numbers: tuple[int, ...]) -> None:
    assert version_of(text) == numbers
