"""NVIDIA's GPUs through NVML (the package nvidia-ml-py, module `pynvml`): optional, and bounded.

NVML is a C library over the driver's kernel calls, and those can block for ever when a card is
sick. So it is asked in threads of its own, which nobody waits for longer than a few seconds: while
one hangs no other is begun, and a thread that hangs does not keep the process from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar, final

import msgspec
import structlog

from gyoza.wire.messages import Gpu
from gyoza.worker.gpu import NOTHING, OwnUse

LIMIT_S: Final = 5.0
GONE: Final = "its driver does not list it any more"
"""Begins the problem of a GPU that was there."""

_MIB: Final = 1024 * 1024
_CONTAINER_ID: Final = re.compile(r"[0-9a-f]{64}")
BY_GRANT: Final = "what is used less what this worker's runs were granted"
"""How foreign use was computed where the processes on a GPU could not be told apart."""

_log = structlog.stdlib.get_logger(__name__)
T = TypeVar("T")


def nvml_library() -> Any | None:
    """The module `pynvml` if it is installed here, else None; nothing is asked of a driver yet."""
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        return None


def container_of(pid: int, proc: Path = Path("/proc")) -> str | None:
    """The engine's id of the container that a process is in.

    Args:
        pid: As NVML names it, so of the machine's own namespace.
        proc: Where the kernel shows processes.

    Returns:
        "" for a process in no container, None if nobody can tell.
    """
    try:
        groups = (proc / str(pid) / "cgroup").read_text("utf-8", errors="replace")
    except OSError:
        return None
    ids = _CONTAINER_ID.findall(groups)
    return ids[-1] if ids else ""


@final
class NvmlGpus:
    """`Gpus` by NVML.

    Args:
        library: The module `pynvml`.
        limit_s: Seconds that one look may take.
        find_container: Says which container a process is in; see `container_of`.

    Attributes:
        has_library: False once the driver's own library was found to be missing: there is no
            NVIDIA driver on this machine.
    """

    are_devices: ClassVar[bool] = True

    def __init__(
        self,
        library: Any,
        *,
        limit_s: float = LIMIT_S,
        find_container: Callable[[int], str | None] = container_of,
    ) -> None:
        self._library = library
        self._limit_s = limit_s
        self._find_container = find_container
        self._known: dict[str, Gpu] = {}
        self._is_open = False
        self._is_stuck = False
        self._last_fault = ""
        self._problem = ""
        self.has_library = True

    @property
    def known(self) -> list[Gpu]:
        """See `Gpus.known`."""
        return sorted(self._known.values(), key=lambda gpu: (gpu.index, gpu.uuid))

    async def look(self, own: OwnUse = NOTHING) -> list[Gpu]:
        """See `Gpus.look`."""
        try:
            found = await self._bounded(lambda: self._ask(own))
        except TimeoutError:
            self._all_have(f"its driver (NVML) has not answered in {self._limit_s:g} s")
        except self._library.NVMLError_LibraryNotFound as fault:
            self.has_library = False
            self._all_have(f"its driver is gone: {fault}")
        except self._library.NVMLError as fault:
            self._all_have(f"its driver (NVML) fails: {fault}")
        else:
            self._take(found)
            self._problem = ""
        return self.known

    async def _bounded(self, work: Callable[[], T]) -> T:
        """Carry out blocking work in a thread that nobody has to wait for.

        Raises:
            TimeoutError: It is not done in time, or the work before it is not done yet.
        """
        if self._is_stuck:
            raise TimeoutError
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._is_stuck = True

        def carry_out() -> None:
            try:
                value = work()
            except Exception as error:  # noqa: BLE001  handed to whoever waits
                settle = _failing(answer, error)
            else:
                settle = _succeeding(answer, value)
            self._is_stuck = False
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle)

        # No executor's thread: those are waited for at the end of the process.
        threading.Thread(target=carry_out, name="nvml", daemon=True).start()
        async with asyncio.timeout(self._limit_s):
            return await answer

    def _ask(self, own: OwnUse) -> dict[str, Gpu]:
        """Ask NVML for everything; runs in a thread and may block."""
        library = self._library
        try:
            if not self._is_open:
                library.nvmlInit()
                self._is_open = True
            handles = self._handles(library.nvmlDeviceGetCount())
        except library.NVMLError:
            # A driver that was exchanged or has lost its cards answers only a new beginning.
            self._close()
            raise
        return {uuid: self._one(uuid, index, handle, own) for uuid, index, handle in handles}

    def _close(self) -> None:
        self._is_open = False
        with contextlib.suppress(self._library.NVMLError):
            self._library.nvmlShutdown()

    def _handles(self, count: int) -> list[tuple[str, int, Any]]:
        """The GPUs that can say who they are; of the others is told that they are missing."""
        found: list[tuple[str, int, Any]] = []
        for index in range(count):
            try:
                handle = self._library.nvmlDeviceGetHandleByIndex(index)
                found.append((_text(self._library.nvmlDeviceGetUUID(handle)), index, handle))
            except self._library.NVMLError as fault:
                self._last_fault = f"GPU {index}: {fault}"
        return found

    def _one(self, uuid: str, index: int, handle: Any, own: OwnUse) -> Gpu:
        library = self._library
        try:
            name = _text(library.nvmlDeviceGetName(handle))
            # Before what is used: use that grows in between then counts as others', never as free.
            mine_mb, basis = self._own_mb(uuid, handle, own)
            memory = library.nvmlDeviceGetMemoryInfo(handle)
        except library.NVMLError as fault:
            before = self._known.get(uuid) or Gpu(uuid=uuid, vram_mb=0)
            return msgspec.structs.replace(before, index=index, problem=f"NVML: {fault}")
        used_mb = max(0, -(-int(memory.used) // _MIB) - mine_mb)
        total_mb = int(memory.total) // _MIB
        return Gpu(
            uuid=uuid,
            vram_mb=total_mb,
            index=index,
            name=name,
            used_mb=min(used_mb, total_mb),
            used_basis=basis,
        )

    def _own_mb(self, uuid: str, handle: Any, own: OwnUse) -> tuple[int, str]:
        """What our containers use of a GPU, and how that was found out ("" is: by process)."""
        try:
            processes = list(self._library.nvmlDeviceGetComputeRunningProcesses(handle))
        except self._library.NVMLError_NotSupported:
            return own.granted_mb.get(uuid, 0), BY_GRANT
        homes = [(self._find_container(each.pid), each.usedGpuMemory) for each in processes]
        mine = [used for home, used in homes if home in own.containers]
        if any(home is None for home, _ in homes) or any(used is None for used in mine):
            return own.granted_mb.get(uuid, 0), BY_GRANT
        return sum(int(used) for used in mine) // _MIB, ""

    def _take(self, found: Mapping[str, Gpu]) -> None:
        why = f" ({self._last_fault})" if self._last_fault else ""
        for uuid, gpu in self._known.items():
            if uuid not in found and not gpu.problem.startswith(GONE):
                _log.warning("a GPU is gone", gpu=uuid, why=self._last_fault)
                self._known[uuid] = msgspec.structs.replace(gpu, problem=f"{GONE}{why}")
        self._known.update(found)
        self._last_fault = ""

    def _all_have(self, problem: str) -> None:
        if problem != self._problem:
            _log.warning("the GPUs cannot be asked", why=problem)
            self._problem = problem
        self._known = {
            uuid: msgspec.structs.replace(gpu, problem=problem) for uuid, gpu in self._known.items()
        }


def _succeeding(answer: asyncio.Future[T], value: T) -> Callable[[], None]:
    return lambda: None if answer.done() else answer.set_result(value)


def _failing(answer: asyncio.Future[T], error: Exception) -> Callable[[], None]:
    return lambda: None if answer.done() else answer.set_exception(error)


def _text(value: str | bytes) -> str:
    # Older versions of the module answer in bytes.
    return value.decode() if isinstance(value, bytes) else value
