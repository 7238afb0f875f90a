"""A stand-in for the module `pynvml`: the functions that we use, over cards that tests describe."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

MIB = 1024 * 1024


class NVMLError(Exception):
    """As pynvml's."""


class NVMLError_NotSupported(NVMLError):  # noqa: N801  pynvml's name
    """As pynvml's."""


class NVMLError_LibraryNotFound(NVMLError):  # noqa: N801  pynvml's name
    """As pynvml's."""


@dataclass
class Process:
    pid: int
    usedGpuMemory: int | None  # noqa: N815  pynvml's name


@dataclass
class Memory:
    total: int
    used: int


@dataclass
class Card:
    """One card; `fault` is raised by whatever is asked of it beyond its name."""

    uuid: str
    total_mb: int = 24_576
    used_mb: int = 0
    name: str = "NVIDIA A10"
    processes: list[Process] = field(default_factory=list)
    lists_processes: bool = True
    fault: str = ""


class FakeNvml:
    """The module object."""

    NVMLError = NVMLError
    NVMLError_NotSupported = NVMLError_NotSupported
    NVMLError_LibraryNotFound = NVMLError_LibraryNotFound

    def __init__(self, *cards: Card) -> None:
        self.cards = list(cards)
        self.lost: set[int] = set()
        self.fault: NVMLError | None = None
        self.begun = 0
        self.answers = threading.Event()
        self.answers.set()

    def hang(self) -> None:
        self.answers.clear()

    def nvmlInit(self) -> None:  # noqa: N802
        self.begun += 1
        self._fail_if_told()

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.begun -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        self.answers.wait()
        self._fail_if_told()
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:  # noqa: N802
        if index in self.lost:
            raise NVMLError("GPU is lost")
        return self.cards[index]

    def nvmlDeviceGetUUID(self, card: Card) -> str:  # noqa: N802
        return card.uuid

    def nvmlDeviceGetName(self, card: Card) -> bytes:  # noqa: N802
        return card.name.encode()

    def nvmlDeviceGetMemoryInfo(self, card: Card) -> Memory:  # noqa: N802
        if card.fault:
            raise NVMLError(card.fault)
        return Memory(card.total_mb * MIB, card.used_mb * MIB)

    def nvmlDeviceGetComputeRunningProcesses(self, card: Card) -> list[Process]:  # noqa: N802
        if not card.lists_processes:
            raise NVMLError_NotSupported("Not Supported")
        return card.processes

    def _fail_if_told(self) -> None:
        if self.fault is not None:
            raise self.fault
