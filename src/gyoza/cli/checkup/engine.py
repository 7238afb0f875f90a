"""The container engine of this machine: there, new enough, and able to bound what it runs.

Minimum versions are those of the security notes on runc (1.2.8 and 1.3.3: CVE-2025-31133,
CVE-2025-52565, CVE-2025-52881).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from gyoza.cli.checkup.asking import Unanswered, ask_engine
from gyoza.cli.checkup.findings import Finding, Group, version_of

_GROUP: Final = Group("engine")
_API: Final = (1, 41)
_SAFE_RUNC: Final = ((1, 2, 8), (1, 3, 3))
_SLOW_DRIVERS: Final = ("vfs", "devicemapper", "aufs", "overlay")
_INSTALL: Final = "install Docker Engine (https://docs.docker.com/engine/install/) and start it"
_SETTINGS: Final = "/etc/docker/daemon.json"
_LOG_DRIVER: Final = "local"


def look_at_engine(address: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the engine says of its version and of itself.

    Raises:
        Unanswered: None answers.
    """
    return ask_engine(address, "/version").document, ask_engine(address, "/info").document


def judge_absence(address: str, reason: str, *, is_needed: bool) -> Finding:
    """Judge that no engine answers.

    Args:
        address: Where it was looked for.
        reason: Why none answers.
        is_needed: Whether this machine has the worker's part installed.
    """
    seen = f"none answers at {address}: {reason}"
    if reason == "permission denied":
        remedy = "add yourself to the group of its socket (`usermod -aG docker $USER`), log in anew"
    else:
        remedy = f"{_INSTALL}; GYOZA_DOCKER_HOST names another"
    if is_needed:
        return _GROUP.fail("reachable", seen, remedy)
    return _GROUP.warn("reachable", f"{seen}; only builds and workers need one", remedy)


def judge_engine(
    address: str, version: Mapping[str, Any], info: Mapping[str, Any]
) -> list[Finding]:
    """Judge an engine by its own words.

    Args:
        address: Where it is.
        version: Docker Engine API, SystemVersion.
        info: Docker Engine API, SystemInfo.
    """
    return [
        _judge_api(address, version),
        _judge_runc(version),
        _judge_live_restore(info),
        _judge_cgroup(info),
        _judge_limits(info),
        _judge_storage(info),
        _judge_isolation(info),
        _judge_logs(info),
    ]


def _judge_api(address: str, version: Mapping[str, Any]) -> Finding:
    api = str(version.get("ApiVersion", ""))
    seen = f"{version.get('Version', 'unknown')} (API {api or 'unknown'}) at {address}"
    if version_of(api) < _API:
        return _GROUP.fail("reachable", seen, "install Docker Engine 20.10 (API 1.41) or newer")
    return _GROUP.ok("reachable", seen)


def _judge_runc(version: Mapping[str, Any]) -> Finding:
    components = cast("list[dict[str, Any]]", version.get("Components") or [])
    named = [str(each.get("Version")) for each in components if each.get("Name") == "runc"]
    if not named:
        return _GROUP.skipped("runc", "the engine names none")
    numbers = version_of(named[0])
    if any(numbers >= safe and numbers[:2] == safe[:2] for safe in _SAFE_RUNC):
        return _GROUP.ok("runc", named[0])
    if numbers > _SAFE_RUNC[-1]:
        return _GROUP.ok("runc", named[0])
    seen = f"{named[0]}: containers can escape from it (fixed in 1.2.8 and 1.3.3)"
    return _GROUP.warn("runc", seen, "upgrade runc, or the engine's packages with it")


def _judge_live_restore(info: Mapping[str, Any]) -> Finding:
    if info.get("LiveRestoreEnabled"):
        return _GROUP.ok("live-restore", "containers outlive a restart of the engine")
    remedy = f'"live-restore": true in {_SETTINGS}, then `systemctl reload docker`'
    return _GROUP.warn("live-restore", "off: a restart of the engine ends every run here", remedy)


def _judge_cgroup(info: Mapping[str, Any]) -> Finding:
    number = str(info.get("CgroupVersion") or "unknown")
    seen = f"version {number}, by {info.get('CgroupDriver', 'unknown')}"
    if number == "2":
        return _GROUP.ok("cgroup", seen)
    remedy = "boot with systemd.unified_cgroup_hierarchy=1, or a newer distribution"
    return _GROUP.warn("cgroup", f"{seen}; engines and systemd give up version 1", remedy)


def _judge_limits(info: Mapping[str, Any]) -> Finding:
    needed = {"MemoryLimit": "memory", "CpuCfsQuota": "CPUs", "PidsLimit": "processes"}
    absent = [word for name, word in needed.items() if not info.get(name)]
    remedy = "enable these controllers of cgroup in the kernel, or for the rootless user"
    if absent:
        return _GROUP.fail("limits", f"the engine cannot bound {', '.join(absent)}", remedy)
    if not info.get("SwapLimit"):
        seen = "memory is bounded, swap is not: a run may use it beyond its share"
        return _GROUP.warn("limits", seen, "boot with swapaccount=1, or turn swap off")
    return _GROUP.ok("limits", "memory, swap, CPUs and processes are bounded")


def _judge_storage(info: Mapping[str, Any]) -> Finding:
    driver = str(info.get("Driver", "unknown"))
    if driver in _SLOW_DRIVERS:
        remedy = f'"storage-driver": "overlay2" in {_SETTINGS}'
        return _GROUP.warn("storage", f"{driver}: slow, and no longer looked after", remedy)
    return _GROUP.ok("storage", driver)


def _judge_isolation(info: Mapping[str, Any]) -> Finding:
    options = cast("list[str]", info.get("SecurityOptions") or [])
    names = [option.partition(",")[0].removeprefix("name=") for option in options]
    if "seccomp" not in names:
        remedy = "a kernel with seccomp, and an engine built with it"
        return _GROUP.warn("isolation", "no seccomp: a run may make any system call", remedy)
    extra = [name for name in ("rootless", "userns") if name in names]
    return _GROUP.ok("isolation", ", ".join(names) if extra else f"{', '.join(names)}; rootful")


def _judge_logs(info: Mapping[str, Any]) -> Finding:
    plugins = cast("dict[str, Any]", info.get("Plugins") or {})
    if _LOG_DRIVER in (plugins.get("Log") or []):
        return _GROUP.ok("logs", f"log driver {_LOG_DRIVER} is there")
    seen = f"no log driver {_LOG_DRIVER}: containers will not start"
    return _GROUP.fail("logs", seen, "install Docker Engine 20.10 or newer")


def check_engine(address: str, *, is_needed: bool) -> tuple[list[Finding], dict[str, Any]]:
    """Look at the engine, and return what it says of itself too; {} when none answers."""
    try:
        version, info = look_at_engine(address)
    except Unanswered as error:
        return [judge_absence(address, str(error), is_needed=is_needed)], {}
    return judge_engine(address, version, info), info
