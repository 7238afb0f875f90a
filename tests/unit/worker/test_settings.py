from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from gyoza.worker.capacity import offered
from gyoza.worker.gpu import declared_gpus
from gyoza.worker.main import container_user
from gyoza.worker.runtime.fake import FAKE_ENGINE
from gyoza.worker.settings import WorkerSettings


def test_settings_come_from_the_documented_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "GYOZA_SERVER_URL": "http://there:1",
        "GYOZA_WORKER_KEY": "k",
        "GYOZA_WORKER_NAME": "attic",
        "GYOZA_WORKER_STATE_DIR": "/tmp/w",
        "GYOZA_WORKER_TAGS": "zone=attic, disk=ssd",
        "GYOZA_WORKER_CPU": "3",
        "GYOZA_WORKER_RAM_MB": "2000",
        "GYOZA_GPUS": "24576,24576",
        "GYOZA_WORKER_FILE_CACHE_MB": "500",
        "GYOZA_DOCKER_HOST": "unix:///run/d.sock",
    }.items():
        monkeypatch.setenv(name, value)

    settings = WorkerSettings()

    assert (settings.server_url, settings.worker_key, settings.name) == (
        "http://there:1",
        "k",
        "attic",
    )
    assert settings.state_dir == Path("/tmp/w")
    assert settings.tags == {"zone": "attic", "disk": "ssd"}
    assert (settings.cpu, settings.ram_mb, settings.gpus) == (3, 2000, [24576, 24576])
    assert settings.docker_host == "unix:///run/d.sock"
    assert settings.file_cache_mb == 500


@pytest.mark.parametrize(
    ("name", "value"),
    [("GYOZA_GPUS", "big"), ("GYOZA_WORKER_TAGS", "zone"), ("GYOZA_WORKER_CPU", "-1")],
)
def test_a_setting_that_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ValidationError):
        WorkerSettings()


def test_all_of_the_machine_is_offered_but_what_it_needs_itself() -> None:
    capacity = offered(FAKE_ENGINE, cpu=0, ram_mb=0, gpus=[])

    assert (capacity.cpu, capacity.ram_mb) == (16, 65_536 - 512)


def test_never_more_cpus_are_offered_than_the_engine_hands_out() -> None:
    assert offered(FAKE_ENGINE, cpu=99, ram_mb=1, gpus=[]).cpu == 16


def test_declared_gpus_have_distinct_and_stable_names() -> None:
    assert [gpu.uuid for gpu in declared_gpus([1, 2])] == ["GPU-declared-0", "GPU-declared-1"]


def test_only_roots_worker_runs_ops_as_somebody_else() -> None:
    assert container_user(0, 0) == (65532, 65532)
    assert container_user(1000, 100) == (1000, 100)
