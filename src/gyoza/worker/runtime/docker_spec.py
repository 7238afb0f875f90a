"""What we ask of a container, said in the Docker Engine's words: the one place of its settings.

Pure translation from `ContainerSpec` to the body of `POST /containers/create` (Engine API 1.41),
with the hardening that every container gets and no caller can weaken. No I/O and no engine here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, Final

from gyoza.worker.runtime.interface import ContainerSpec, Mount, StartFailed

MEBIBYTE: Final = 1024 * 1024
NANO_CPUS: Final = 1_000_000_000

NO_GPU: Final = "void"
"""For `NVIDIA_VISIBLE_DEVICES`: as if the toolkit were not there. Most CUDA images say `all`."""

GPU_ABILITIES: Final = ("compute", "utility")

NOFILE: Final = 65_536
"""Open files of one process: enough for data loaders, far from what would hurt the machine."""

LOGGING: Final[Mapping[str, Any]] = {
    "Type": "local",
    # Not in non-blocking mode: before 23.0 the engine loses what it holds in its hand when such a
    # log is closed (moby/moby#42316), which for a short op is all of its output, and every engine
    # drops without a word what goes beyond a buffer of 1 MB. A flood does not stop in this mode
    # either; it costs about 12 us a line.
    "Config": {"max-size": "10m", "max-file": "3"},
}


def create_body(spec: ContainerSpec, nofile: int = NOFILE) -> dict[str, Any]:
    """The body of the create call.

    Args:
        spec: What the caller wants.
        nofile: Open files to allow; less than `NOFILE` only where the engine can give no more.

    Source: https://docs.docker.com/reference/api/engine/version/v1.41/#operation/ContainerCreate
    """
    body: dict[str, Any] = {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in environment(spec).items()],
        "Labels": dict(spec.labels),
        "User": spec.user,
        "NetworkDisabled": not spec.network,
        "StopSignal": "SIGTERM",
        "StopTimeout": spec.stop_grace_s,
        "Tty": False,
        "OpenStdin": False,
        "HostConfig": host_config(spec, nofile),
    }
    if spec.command is not None:
        # As the entry point, or the engine would hand it as arguments to the image's own.
        body["Entrypoint"] = list(spec.command)
        body["Cmd"] = []
    if spec.working_dir is not None:
        body["WorkingDir"] = spec.working_dir
    return body


def environment(spec: ContainerSpec) -> dict[str, str]:
    """The caller's variables, with what decides over GPUs set by us alone.

    `CUDA_VISIBLE_DEVICES` too, since an image may have brought its own. It counts within what the
    container sees: numbers, because not every library reads UUIDs there.
    """
    if not spec.gpu_uuids:
        return {**spec.env, "NVIDIA_VISIBLE_DEVICES": NO_GPU, "CUDA_VISIBLE_DEVICES": ""}
    return {
        **spec.env,
        "NVIDIA_VISIBLE_DEVICES": ",".join(spec.gpu_uuids),
        "CUDA_VISIBLE_DEVICES": ",".join(str(at) for at in range(len(spec.gpu_uuids))),
        "NVIDIA_DRIVER_CAPABILITIES": ",".join(GPU_ABILITIES),
    }


def host_config(spec: ContainerSpec, nofile: int = NOFILE) -> dict[str, Any]:
    """Limits, isolation and mounts: the policy, with the figures of `spec` in it."""
    return {
        **_isolation(),
        **_limits(spec, nofile),
        # With `NetworkDisabled`, "none" costs half of what it costs alone: the engine skips
        # building a sandbox. It also skips /etc/hosts, which the caller mounts.
        "NetworkMode": "bridge" if spec.network else "none",
        "Tmpfs": {"/tmp": tmpfs_options(spec.tmpfs_mb, spec.user)},  # noqa: S108 - inside the container
        "Mounts": [bind(mount) for mount in spec.mounts],
        "DeviceRequests": gpu_requests(spec.gpu_uuids),
        "LogConfig": {"Type": LOGGING["Type"], "Config": dict(LOGGING["Config"])},
    }


def _isolation() -> dict[str, Any]:
    return {
        "Privileged": False,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "ReadonlyRootfs": True,
        "IpcMode": "private",
        "Init": True,
        # Only the worker restarts, and only it removes: an ended container is evidence.
        "RestartPolicy": {"Name": "no"},
        "AutoRemove": False,
        "OomScoreAdj": 500,
    }


def _limits(spec: ContainerSpec, nofile: int) -> dict[str, Any]:
    memory_bytes = spec.memory_mb * MEBIBYTE
    return {
        "Memory": memory_bytes,
        "MemorySwap": memory_bytes,  # the sum of both, so: no swap
        "NanoCpus": round(spec.cpus * NANO_CPUS),
        "PidsLimit": spec.pids,
        "ShmSize": spec.shm_mb * MEBIBYTE,
        "Ulimits": [
            {"Name": "nofile", "Soft": nofile, "Hard": nofile},
            {"Name": "core", "Soft": 0, "Hard": 0},
        ],
    }


def tmpfs_options(size_mb: int, user: str) -> str:
    """Options of the scratch space; `exec`, because GPU compilers load code from their cache.

    It belongs to the user where that is a number: runc gives a tmpfs the mode of the folder it
    covers, whatever `mode` says, so in an image with a `/tmp` of 0755 only the owner could write.
    """
    owner = "".join(
        f",{option}={number}"
        for option, number in zip(("uid", "gid"), user.split(":"), strict=False)
        if number.isdecimal()
    )
    return f"rw,exec,nosuid,nodev,size={size_mb}m,mode=1777{owner}"


def bind(mount: Mount) -> dict[str, Any]:
    """One bind mount, through which no later mount of either side shows up on the other.

    The API cannot ask for nosuid and nodev on a bind. Neither is missed: a container without
    capabilities can make no device, and `no-new-privileges` takes the power from set-uid files.
    """
    return {
        "Type": "bind",
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        "BindOptions": {"Propagation": "rprivate"},
    }


def gpu_requests(gpu_uuids: tuple[str, ...]) -> list[dict[str, Any]]:
    """The GPUs by UUID: an index means another card after a reboot."""
    if not gpu_uuids:
        return []
    return [
        {
            "Driver": "nvidia",
            "DeviceIDs": list(gpu_uuids),
            "Capabilities": [["gpu", *GPU_ABILITIES]],
            "Options": {},
        }
    ]


def refuse_engine_socket(mounts: Iterable[Mount], sockets: Iterable[PurePath]) -> None:
    """Refuse a mount through which a container could command the engine, and so the machine.

    Args:
        mounts: With sources already resolved, since a symbolic link could lead to the socket.
        sockets: The paths of the engine's socket, resolved.

    Raises:
        StartFailed: A source is such a socket or a folder above one.
    """
    forbidden = {above for socket in sockets for above in (socket, *socket.parents)}
    for mount in mounts:
        if PurePath(mount.source) in forbidden:
            raise StartFailed(
                f"the mount of {mount.source} at {mount.target} would hand the container engine's"
                " socket to the container; mount a folder that does not hold it"
            )
