"""Which attempts see sources of this machine: asked of a local file, whatever a server says."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza.worker.execution.dev_sources import (
    DevSource,
    file_of,
    read_dev_sources,
    source_mounts,
    write_dev_sources,
)
from gyoza.worker.execution.failures import StageFailure
from gyoza.worker.runtime.interface import Mount
from tests.integration.worker.rig import an_assignment

IMAGE_ID = "sha256:" + "a" * 64


@pytest.fixture
def source(tmp_path: Path) -> DevSource:
    folder = tmp_path / "kept" / "one"
    folder.mkdir(parents=True)
    found = DevSource("greet", "1.0.0-dev.1", IMAGE_ID, str(folder), "/op")
    write_dev_sources(file_of(tmp_path, "greet"), [found])
    return found


def asked(**changes: str) -> dict[str, str]:
    names = {"op_definition": "greet", "op_version": "1.0.0-dev.1", "image_digest": IMAGE_ID}
    return {**names, **changes}


def test_a_version_sees_its_sources_read_only(source: DevSource, tmp_path: Path) -> None:
    mounts = source_mounts(tmp_path, an_assignment(**asked()))

    assert mounts == [Mount(source.folder, "/op", read_only=True)]


@pytest.mark.parametrize(
    "changes",
    [
        {"op_definition": "other"},
        {"op_version": "1.0.0"},
        {"image_digest": "sha256:" + "b" * 64},
        {"op_definition": "../kept/one"},
    ],
    ids=lambda changes: next(iter(changes)),
)
@pytest.mark.usefixtures("source")
def test_whatever_else_a_server_names_sees_nothing(changes: dict[str, str], tmp_path: Path) -> None:
    assert source_mounts(tmp_path, an_assignment(**asked(**changes))) == []


@pytest.mark.usefixtures("source")
def test_a_worker_that_dev_did_not_start_mounts_nothing() -> None:
    assert source_mounts(None, an_assignment(**asked())) == []


def test_sources_that_are_no_longer_kept_fail_the_attempt_and_are_never_replaced(
    source: DevSource, tmp_path: Path
) -> None:
    Path(source.folder).rmdir()

    with pytest.raises(StageFailure, match=r"greet 1\.0\.0-dev\.1 are no longer kept") as failure:
        source_mounts(tmp_path, an_assignment(**asked()))

    assert (failure.value.reason, failure.value.retryable) == ("START_FAILED", False)


def test_a_file_that_cannot_be_read_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "greet.json").write_text("[{")

    with pytest.raises(StageFailure, match=r"greet\.json") as failure:
        source_mounts(tmp_path, an_assignment(**asked()))

    assert (failure.value.reason, failure.value.charged) == ("WORKER_ERROR", False)


def test_what_was_written_is_read_back(source: DevSource, tmp_path: Path) -> None:
    assert read_dev_sources(tmp_path / "greet.json") == [source]
    assert read_dev_sources(tmp_path / "absent.json") == []
