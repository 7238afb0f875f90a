"""The policy of every container, word for word."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from gyoza.worker.runtime.docker_spec import create_body, refuse_engine_socket
from gyoza.worker.runtime.interface import ContainerSpec, Mount, StartFailed

SOCKET = PurePath("/run/docker.sock")


def a_spec(**changes: object) -> ContainerSpec:
    return ContainerSpec(**{"name": "run-1", "image": "op:1", **changes})  # type: ignore[arg-type]


def test_a_cpu_run_is_translated_to_exactly_this() -> None:
    spec = a_spec(
        command=("python", "-m", "op"),
        env={"HOME": "/tmp"},
        labels={"org.gyoza.run": "run_1"},
        mounts=(Mount("/var/lib/gyoza/1/in", "/gyoza/in"),),
        memory_mb=256,
        cpus=1.5,
        shm_mb=64,
        tmpfs_mb=32,
        stop_grace_s=20,
    )

    assert create_body(spec) == {
        "Image": "op:1",
        "Entrypoint": ["python", "-m", "op"],
        "Cmd": [],
        "Env": ["HOME=/tmp", "NVIDIA_VISIBLE_DEVICES=void", "CUDA_VISIBLE_DEVICES="],
        "Labels": {"org.gyoza.run": "run_1"},
        "User": "65532:65532",
        "NetworkDisabled": True,
        "StopSignal": "SIGTERM",
        "StopTimeout": 20,
        "Tty": False,
        "OpenStdin": False,
        "HostConfig": {
            "Privileged": False,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
            "IpcMode": "private",
            "Init": True,
            "RestartPolicy": {"Name": "no"},
            "AutoRemove": False,
            "OomScoreAdj": 500,
            "Memory": 268_435_456,
            "MemorySwap": 268_435_456,
            "NanoCpus": 1_500_000_000,
            "PidsLimit": 1024,
            "ShmSize": 67_108_864,
            "Ulimits": [
                {"Name": "nofile", "Soft": 65_536, "Hard": 65_536},
                {"Name": "core", "Soft": 0, "Hard": 0},
            ],
            "NetworkMode": "none",
            "Tmpfs": {"/tmp": "rw,exec,nosuid,nodev,size=32m,mode=1777,uid=65532,gid=65532"},
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": "/var/lib/gyoza/1/in",
                    "Target": "/gyoza/in",
                    "ReadOnly": True,
                    "BindOptions": {"Propagation": "rprivate"},
                }
            ],
            "DeviceRequests": [],
            "LogConfig": {
                "Type": "local",
                "Config": {"max-size": "10m", "max-file": "3"},
            },
        },
    }


def test_a_gpu_run_gets_its_gpus_by_uuid_and_no_others() -> None:
    body = create_body(a_spec(gpu_uuids=("GPU-a", "GPU-b")))

    assert body["HostConfig"]["DeviceRequests"] == [
        {
            "Driver": "nvidia",
            "DeviceIDs": ["GPU-a", "GPU-b"],
            "Capabilities": [["gpu", "compute", "utility"]],
            "Options": {},
        }
    ]
    assert "NVIDIA_VISIBLE_DEVICES=GPU-a,GPU-b" in body["Env"]
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in body["Env"]
    assert "CUDA_VISIBLE_DEVICES=0,1" in body["Env"]


@pytest.mark.parametrize("gpu_uuids", [(), ("GPU-a",)])
def test_a_caller_cannot_show_itself_more_gpus_through_the_environment(
    gpu_uuids: tuple[str, ...],
) -> None:
    greedy = {"NVIDIA_VISIBLE_DEVICES": "all", "CUDA_VISIBLE_DEVICES": "7"}

    body = create_body(a_spec(gpu_uuids=gpu_uuids, env=greedy))

    assert "NVIDIA_VISIBLE_DEVICES=all" not in body["Env"]
    assert "CUDA_VISIBLE_DEVICES=7" not in body["Env"]


def test_with_a_network_the_container_joins_the_default_bridge() -> None:
    body = create_body(a_spec(network=True))

    assert body["NetworkDisabled"] is False
    assert body["HostConfig"]["NetworkMode"] == "bridge"


def test_without_a_command_the_image_says_what_runs_and_where() -> None:
    body = create_body(a_spec())

    assert "Entrypoint" not in body
    assert "Cmd" not in body
    assert "WorkingDir" not in body


def test_a_working_dir_is_passed_on() -> None:
    assert create_body(a_spec(working_dir="/app"))["WorkingDir"] == "/app"


def test_a_user_by_name_gets_tmp_by_its_mode_alone() -> None:
    body = create_body(a_spec(user="app"))

    assert body["HostConfig"]["Tmpfs"]["/tmp"].endswith("mode=1777")


def test_fewer_open_files_are_allowed_where_the_engine_can_give_no_more() -> None:
    body = create_body(a_spec(), nofile=20_000)

    assert body["HostConfig"]["Ulimits"][0] == {"Name": "nofile", "Soft": 20_000, "Hard": 20_000}


@pytest.mark.parametrize("source", ["/run/docker.sock", "/run", "/"])
def test_a_mount_that_holds_the_engines_socket_is_refused(source: str) -> None:
    with pytest.raises(StartFailed, match=f"mount of {source} at /x"):
        refuse_engine_socket([Mount(source, "/x")], [SOCKET])


@pytest.mark.parametrize("source", ["/run/gyoza", "/run/docker.sock.d", "/var/lib/gyoza/1/in"])
def test_any_other_mount_is_let_through(source: str) -> None:
    refuse_engine_socket([Mount(source, "/x")], [SOCKET])
