"""The GPUs of this machine: driver, its library, and what lets containers see them.

Container Toolkit: up to 1.17.7 an image's own variables could inject code into a privileged hook
(CVE-2025-23266).
"""

from __future__ import annotations

import ctypes
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from gyoza.cli.checkup.findings import Finding, Group, version_of

_GROUP: Final = Group("gpu")
_LIMIT_S: Final = 10.0
_SAFE_TOOLKIT: Final = (1, 17, 8)
_LIBRARY: Final = "libnvidia-ml.so.1"
_TOOLKIT: Final = (
    "install the NVIDIA Container Toolkit (https://docs.nvidia.com/datacenter/cloud-native/),"
    " then `nvidia-ctk runtime configure --runtime=docker` and restart the engine"
)


def check_gpu(
    environment: Mapping[str, str], info: Mapping[str, Any], devices: Path = Path("/dev")
) -> list[Finding]:
    """Look for GPUs.

    Args:
        environment: `PATH` says where programs are, `GYOZA_GPUS` what a worker offers.
        info: What the engine says of itself; {} when none answers.
        devices: Where the kernel's devices are.
    """
    declared = environment.get("GYOZA_GPUS", "").strip()
    if declared:
        return [_GROUP.ok("declared", f"GYOZA_GPUS={declared}: a worker here offers only that")]
    path = environment.get("PATH", "")
    program = shutil.which("nvidia-smi", path=path)
    has_device = any(devices.glob("nvidia[0-9]*"))
    if program is None and not has_device:
        return [_GROUP.skipped("driver", "no NVIDIA GPU: no nvidia-smi, no /dev/nvidia0")]
    return [
        _driver(program),
        _library(),
        _module(),
        _toolkit(shutil.which("nvidia-ctk", path=path)),
        judge_runtime(info),
    ]


def _driver(program: str | None) -> Finding:
    install = "install the NVIDIA driver of this kernel, and load it: `modprobe nvidia`"
    if program is None:
        return _GROUP.fail("driver", "there is a device, but no nvidia-smi", install)
    query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    code, words = _run([program, *query])
    if code != 0:
        return _GROUP.fail("driver", f"nvidia-smi: {words or f'exit code {code}'}", install)
    return _GROUP.ok("driver", "; ".join(words.splitlines()) or "no GPU is listed")


def _library() -> Finding:
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError as error:
        remedy = "install the driver's library (on Debian and Ubuntu: libnvidia-ml1)"
        return _GROUP.fail("nvml", str(error), remedy)
    return _GROUP.ok("nvml", f"{_LIBRARY} can be loaded")


def _module() -> Finding:
    if importlib.util.find_spec("pynvml") is None:
        remedy = "install `gyoza-ops[worker]`, or nvidia-ml-py alone"
        seen = "no module pynvml: a worker here would find no GPU"
        return _GROUP.warn("module", seen, remedy)
    return _GROUP.ok("module", "pynvml: a worker here finds its GPUs by itself")


def _toolkit(program: str | None) -> Finding:
    if program is None:
        return _GROUP.fail("toolkit", "no nvidia-ctk: containers cannot see the GPUs", _TOOLKIT)
    _, words = _run([program, "--version"])
    return judge_toolkit(words)


def judge_toolkit(words: str) -> Finding:
    """Judge the toolkit by what `nvidia-ctk --version` prints."""
    found = re.search(r"version (\d[\w.]*)", words)
    if found is None:
        return _GROUP.warn("toolkit", f"its version cannot be read: {words[:80]!r}", _TOOLKIT)
    if version_of(found[1]) < _SAFE_TOOLKIT:
        seen = f"{found[1]}: an image can run code on this machine (CVE-2025-23266)"
        return _GROUP.warn("toolkit", seen, "upgrade the NVIDIA Container Toolkit")
    return _GROUP.ok("toolkit", found[1])


def judge_runtime(info: Mapping[str, Any]) -> Finding:
    """Judge whether the engine can hand a GPU to a container."""
    if not info:
        return _GROUP.skipped("runtime", "no engine answers")
    runtimes = cast("dict[str, Any]", info.get("Runtimes") or {})
    if "nvidia" in runtimes:
        return _GROUP.ok("runtime", "nvidia")
    # Container Device Interface: newer engines name the folders whether or not a file is in them.
    folders = [Path(each) for each in cast("list[str]", info.get("CDISpecDirs") or [])]
    specs = [file for folder in folders for file in folder.glob("nvidia*")]
    if specs:
        return _GROUP.ok("runtime", f"by CDI, {specs[0]}")
    return _GROUP.fail("runtime", "the engine knows no runtime nvidia, and no CDI", _TOOLKIT)


def _run(command: list[str]) -> tuple[int, str]:
    try:
        done = subprocess.run(  # noqa: S603  a list of words, no shell
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 1, f"no answer within {_LIMIT_S:g} s"
    except OSError as error:
        return 1, error.strerror or str(error)
    return done.returncode, (done.stdout or done.stderr).strip()
