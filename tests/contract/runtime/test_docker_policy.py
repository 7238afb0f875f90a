"""The settings of every container, as the engine has them and as the container itself sees them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from gyoza.worker.runtime.docker import DEFAULT_SOCKET
from gyoza.worker.runtime.docker_host import nofile_limit
from gyoza.worker.runtime.interface import ContainerHandle, Mount, StartFailed
from tests.contract.runtime.bench import Bench
from tests.support.engine import Engine

GREEDY = "gyoza-test/wants-all-gpus:1"
pytestmark = [pytest.mark.anyio, pytest.mark.docker]

MEBIBYTE = 1024 * 1024


async def test_a_live_container_has_the_settings_of_the_policy(
    docker_bench: Bench, engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()

    handle = await docker_bench.started(
        "runs until stopped",
        cpus=0.5,
        memory_mb=64,
        shm_mb=16,
        tmpfs_mb=8,
        stop_grace_s=7,
        mounts=(
            Mount(str(tmp_path / "in"), "/gyoza/in"),
            Mount(str(tmp_path / "out"), "/gyoza/out", read_only=False),
        ),
    )

    _, inspected = engine.call("GET", f"/containers/{handle.id}/json")
    nofile = nofile_limit(DEFAULT_SOCKET)
    assert _picked(inspected["HostConfig"]) == {
        "Privileged": False,
        "CapAdd": None,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "ReadonlyRootfs": True,
        "Tmpfs": {"/tmp": "rw,exec,nosuid,nodev,size=8m,mode=1777,uid=65532,gid=65532"},
        "Memory": 64 * MEBIBYTE,
        "MemorySwap": 64 * MEBIBYTE,
        "NanoCpus": 500_000_000,
        "PidsLimit": 1024,
        "ShmSize": 16 * MEBIBYTE,
        "Init": True,
        "LogConfig": {
            "Type": "local",
            "Config": {"max-size": "10m", "max-file": "3"},
        },
        "Ulimits": [
            {"Name": "nofile", "Soft": nofile, "Hard": nofile},
            {"Name": "core", "Soft": 0, "Hard": 0},
        ],
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "AutoRemove": False,
        "OomScoreAdj": 500,
        "IpcMode": "private",
        "PidMode": "",
        "UTSMode": "",
        "UsernsMode": "",
        "NetworkMode": "none",
        "Binds": None,
        "VolumesFrom": None,
        "Devices": None,
        "DeviceRequests": [],
        "PortBindings": None,
    }
    assert inspected["Config"]["User"] == "65532:65532"
    assert inspected["Config"]["NetworkDisabled"] is True
    assert inspected["Config"]["StopTimeout"] == 7
    assert inspected["Config"]["Tty"] is False
    assert "NVIDIA_VISIBLE_DEVICES=void" in inspected["Config"]["Env"]
    assert "CUDA_VISIBLE_DEVICES=" in inspected["Config"]["Env"]
    assert not inspected["HostConfig"]["DeviceRequests"]
    assert {
        (mount["Type"], mount["Source"], mount["Destination"], mount["RW"], mount["Propagation"])
        for mount in inspected["Mounts"]
    } == {
        ("bind", str(tmp_path / "in"), "/gyoza/in", False, "rprivate"),
        ("bind", str(tmp_path / "out"), "/gyoza/out", True, "rprivate"),
    }


async def test_with_a_network_the_container_joins_the_default_bridge(
    docker_bench: Bench, engine: Engine
) -> None:
    handle = await docker_bench.created("succeeds", network=True)

    _, inspected = engine.call("GET", f"/containers/{handle.id}/json")

    assert inspected["HostConfig"]["NetworkMode"] == "bridge"
    assert not inspected["Config"].get("NetworkDisabled")


async def test_the_process_has_no_power_at_all(docker_bench: Bench) -> None:
    status = await _said(docker_bench, "cat /proc/self/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)

    assert facts["Uid"].split() == ["65532"] * 4
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(facts[capabilities], 16) == 0
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"] == "2"


@pytest.mark.parametrize("place", ["/", "/etc", "/gyoza/in", "/bin"])
async def test_nothing_but_tmp_and_writable_mounts_can_be_written(
    docker_bench: Bench, tmp_path: Path, place: str
) -> None:
    folder = _world_writable(tmp_path)

    said = await _said(
        docker_bench,
        f"(echo x > {place}/planted) 2>/dev/null && echo written || echo refused;"
        " echo x > /tmp/fine && echo fine",
        user="0:0",
        mounts=(Mount(str(folder), "/gyoza/in"),),
    )

    assert said == "refused\nfine\n"


async def test_tmp_is_as_large_as_asked_and_no_larger(docker_bench: Bench) -> None:
    said = await _said(
        docker_bench,
        "dd if=/dev/zero of=/tmp/small bs=1M count=1 2>/dev/null && echo fits;"
        " dd if=/dev/zero of=/tmp/large bs=1M count=8 2>/dev/null || echo full",
        tmpfs_mb=8,
    )

    assert said == "fits\nfull\n"


async def test_without_a_network_there_is_only_loopback(docker_bench: Bench) -> None:
    said = await _said(docker_bench, "cat /proc/net/dev")

    assert [line.split(":")[0].strip() for line in said.splitlines()[2:]] == ["lo"]


@pytest.mark.parametrize("source", ["/var/run/docker.sock", "/run/docker.sock", "/run", "/"])
async def test_the_engines_socket_is_never_mounted(docker_bench: Bench, source: str) -> None:
    with pytest.raises(StartFailed, match="socket"):
        await docker_bench.created("succeeds", mounts=(Mount(source, "/gyoza/in"),))


async def test_a_link_to_the_engines_socket_is_seen_through(
    docker_bench: Bench, tmp_path: Path
) -> None:
    link = tmp_path / "innocent"
    link.symlink_to("/var/run/docker.sock")

    with pytest.raises(StartFailed, match="socket"):
        await docker_bench.created("succeeds", mounts=(Mount(str(link), "/gyoza/in"),))


async def test_a_line_of_many_megabytes_arrives_whole_and_in_small_pieces(
    docker_bench: Bench,
) -> None:
    # All at once: an engine that keeps a log in non-blocking mode drops what exceeds its buffer.
    long_line = "head -c 3000000 /dev/zero | tr '\\0' x"
    handle = await docker_bench.started("succeeds", command=("sh", "-c", long_line))
    digest, size, longest = hashlib.sha256(), 0, 0

    async for chunk in docker_bench.runtime.logs(handle):
        digest.update(chunk.data.rstrip(b"\n"))
        size += len(chunk.data.rstrip(b"\n"))
        longest = max(longest, len(chunk.data))

    assert size == 3_000_000
    assert digest.hexdigest() == hashlib.sha256(b"x" * 3_000_000).hexdigest()
    assert longest <= 128 * 1024


async def test_volumes_that_an_image_declares_go_with_its_container(
    docker_bench: Bench, engine: Engine
) -> None:
    image = _image_with_a_volume(engine, docker_bench)
    handle, _ = await docker_bench.ended("succeeds", image=image)
    _, inspected = engine.call("GET", f"/containers/{handle.id}/json")
    (volume,) = [mount["Name"] for mount in inspected["Mounts"] if mount["Type"] == "volume"]

    await docker_bench.runtime.remove(handle)

    status, _ = engine.call("GET", f"/volumes/{volume}")
    assert status == 404
    engine.call("DELETE", f"/images/{image}")


def _world_writable(folder: Path) -> Path:
    folder.chmod(0o777)
    return folder


def _image_with_a_volume(engine: Engine, bench: Bench) -> str:
    image = f"{bench.name}:volume"
    name = f"{bench.name}-template"
    template = {"Image": bench.image, "Cmd": ["sh"]}
    status, answer = engine.call("POST", f"/containers/create?name={name}", template)
    assert status == 201, answer
    engine.call(
        "POST",
        f"/commit?container={name}&repo={bench.name}&tag=volume&changes=VOLUME%20/data",
        {"Cmd": ["sh"]},
    )
    engine.call("DELETE", f"/containers/{name}")
    return image


async def _said(bench: Bench, command: str, **changes: Any) -> str:
    handle: ContainerHandle = await bench.started(
        "succeeds", command=("sh", "-c", command), **changes
    )
    chunks = [chunk async for chunk in bench.runtime.logs(handle)]
    return b"".join(chunk.data for chunk in chunks).decode()


_NOT_POLICY = {
    "ConsoleSize",
    "ContainerIDFile",
    "VolumeDriver",
    "CgroupnsMode",
    "Cgroup",
    "CgroupParent",
    "Mounts",
    "MaskedPaths",
    "ReadonlyPaths",
    "Isolation",
    "Runtime",
}


def _picked(host_config: dict[str, Any]) -> dict[str, Any]:
    """What the policy speaks of, and whatever else the engine has set to something."""
    spoken = {
        "Privileged", "CapAdd", "CapDrop", "SecurityOpt", "ReadonlyRootfs", "Tmpfs", "Memory",
        "MemorySwap", "NanoCpus", "PidsLimit", "ShmSize", "Init", "LogConfig", "Ulimits",
        "RestartPolicy", "AutoRemove", "OomScoreAdj", "IpcMode", "PidMode", "UTSMode",
        "UsernsMode", "NetworkMode", "Binds", "VolumesFrom", "Devices", "DeviceRequests",
        "PortBindings",
    }  # fmt: skip
    return {
        name: value
        for name, value in host_config.items()
        if name in spoken or (value and name not in _NOT_POLICY)
    }


async def test_a_cpu_run_sees_no_gpu_whatever_its_image_says(
    docker_bench: Bench, engine: Engine
) -> None:
    made = await docker_bench.created("succeeds")
    says = quote("ENV NVIDIA_VISIBLE_DEVICES=all CUDA_VISIBLE_DEVICES=0,1")
    repo, _, tag = GREEDY.partition(":")
    commit = f"/commit?container={made.id}&repo={repo}&tag={tag}&changes={says}"
    status, answer = engine.call("POST", commit)
    assert status == 201, answer
    try:
        handle = await docker_bench.created("succeeds", image=GREEDY)

        _, inspected = engine.call("GET", f"/containers/{handle.id}/json")
        await docker_bench.runtime.remove(handle)
    finally:
        engine.call("DELETE", f"/images/{GREEDY}?force=1")

    seen = dict(each.split("=", 1) for each in inspected["Config"]["Env"])
    assert seen["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert seen["CUDA_VISIBLE_DEVICES"] == ""
    assert not inspected["HostConfig"]["DeviceRequests"]
