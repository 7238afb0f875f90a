"""What `docker inspect` must say of every container gyoza runs (DESIGN section 8)."""

from __future__ import annotations

from typing import Any

from gyoza.worker.runtime.docker_host import nofile_limit
from tests.support.engine import SOCKET

MEMORY_MB = 512


def deviations(inspection: dict[str, Any], *, memory_mb: int = MEMORY_MB) -> list[str]:
    """Every setting that differs from the policy, as `name: found, expected`."""
    found, expected = _found(inspection), _expected(memory_mb)
    return [
        f"{name}: {found[name]!r}, expected {expected[name]!r}"
        for name in expected
        if found[name] != expected[name]
    ]


def _expected(memory_mb: int) -> dict[str, Any]:
    return {
        "running": True,
        "user": "65532:65532",
        "capabilities added": [],
        "capabilities dropped": ["ALL"],
        "no new privileges": True,
        "seccomp or other options": [],
        "privileged": False,
        "read-only root": True,
        "memory": memory_mb * 2**20,
        "memory and swap": memory_mb * 2**20,
        "cpus": 10**9,
        "pids": 1024,
        "init": True,
        "log driver": "local",
        "log size": "10m",
        "log files": "3",
        "restart": "no",
        "removed by the engine": False,
        "pid namespace of the host": False,
        "ipc namespace": "private",
        "user namespace of the host": False,
        "uts namespace of the host": False,
        "network disabled": True,
        "networks with an address": [],
        "devices": [],
        "device requests": [],
        "ports": {},
        "mounts": [
            ("/etc/hosts", False),
            ("/gyoza/in", False),
            ("/gyoza/out", True),
        ],
        "tmpfs": ["/tmp"],
        "nofile": nofile_limit(SOCKET),
        "core": 0,
        "GPUs": "void",
        "inputs or keys in the environment": [],
    }


def _found(inspection: dict[str, Any]) -> dict[str, Any]:
    host, config = inspection["HostConfig"], inspection["Config"]
    options = host["SecurityOpt"] or []
    ulimits = {limit["Name"]: limit for limit in host["Ulimits"] or []}
    environment = dict(entry.split("=", 1) for entry in config["Env"])
    return {
        "running": inspection["State"]["Running"],
        "user": config["User"],
        "capabilities added": host["CapAdd"] or [],
        "capabilities dropped": host["CapDrop"],
        "no new privileges": any(option.startswith("no-new-privileges") for option in options),
        "seccomp or other options": [o for o in options if not o.startswith("no-new-privileges")],
        "privileged": host["Privileged"],
        "read-only root": host["ReadonlyRootfs"],
        "memory": host["Memory"],
        "memory and swap": host["MemorySwap"],
        "cpus": host["NanoCpus"],
        "pids": host["PidsLimit"],
        "init": host["Init"],
        "log driver": host["LogConfig"]["Type"],
        "log size": host["LogConfig"]["Config"].get("max-size"),
        "log files": host["LogConfig"]["Config"].get("max-file"),
        "restart": host["RestartPolicy"]["Name"] or "no",
        "removed by the engine": host["AutoRemove"],
        "pid namespace of the host": host["PidMode"] == "host",
        "ipc namespace": host["IpcMode"],
        "user namespace of the host": host["UsernsMode"] == "host",
        "uts namespace of the host": host["UTSMode"] == "host",
        "network disabled": config.get("NetworkDisabled", False),
        "networks with an address": [
            name
            for name, network in inspection["NetworkSettings"]["Networks"].items()
            if network["IPAddress"]
        ],
        "devices": host["Devices"] or [],
        "device requests": host["DeviceRequests"] or [],
        "ports": host["PortBindings"] or {},
        "mounts": sorted((m["Destination"], m["RW"]) for m in inspection["Mounts"]),
        "tmpfs": sorted(host["Tmpfs"] or {}),
        "nofile": ulimits.get("nofile", {}).get("Hard"),
        "core": ulimits.get("core", {}).get("Hard"),
        "GPUs": environment.get("NVIDIA_VISIBLE_DEVICES"),
        "inputs or keys in the environment": [
            name for name in environment if "KEY" in name or "TOKEN" in name or "INPUT" in name
        ],
    }
