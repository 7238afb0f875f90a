"""What the stages work with: one set for all attempts of a worker.

Only the handing over; each part lives in its own module.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from gyoza.worker.clock import Clock
from gyoza.worker.file_cache import FileCache
from gyoza.worker.gpu import DeclaredGpus, Gpus
from gyoza.worker.health import Health
from gyoza.worker.identity import Identity
from gyoza.worker.images import KnownImages
from gyoza.worker.journal import Journal
from gyoza.worker.runtime.interface import ContainerRuntime
from gyoza.worker.server_port import ServerPort


@dataclass(slots=True, kw_only=True)
class Services:
    """The parts that attempts share.

    Attributes:
        state_dir: Where work folders are made.
        container_uid: Whom containers run as.
        container_gid: Their group.
        starting: Limits how many containers are being started at one time.
        image_locks: One per image, so that it is pulled once.
        draw: Jitter of pauses.
        file_cache_mb: How much is kept of input files that no attempt uses.
        files: The input files on this machine; made of the other parts.
        images: What images are on this machine; made of the other parts.
        gpus: The machine's, as this worker offers them.
        dev_sources: Where `gyoza dev` says which versions see which sources; None for nowhere.
        cluster_id: As the server names itself; "" before registration.
        lease_s: Seconds that the server waits for a sign of life before it gives an attempt up.
        server_ahead_us: How far the server's clock is ahead of ours; deadlines are by the server's.
        is_leaving: This process ends and leaves its containers running, for its successor.
    """

    runtime: ContainerRuntime
    server: ServerPort
    clock: Clock
    journal: Journal
    identity: Identity
    health: Health
    state_dir: Path
    container_uid: int
    container_gid: int
    starting: asyncio.Semaphore
    draw: random.Random
    file_cache_mb: int = 10_240
    files: FileCache = field(init=False)
    images: KnownImages = field(init=False)
    gpus: Gpus = field(default_factory=DeclaredGpus)
    dev_sources: Path | None = None
    cluster_id: str = ""
    lease_s: float = 60.0
    server_ahead_us: int = 0
    is_leaving: bool = False
    image_locks: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )

    def __post_init__(self) -> None:
        self.images = KnownImages(self.runtime, self.clock)
        self.files = FileCache(
            self.state_dir,
            self.server,
            self.clock,
            self.draw,
            limit_mb=self.file_cache_mb,
            # Whoever owns a file could write to it, were it not for the read-only mount.
            lends_links=self.container_uid != os.geteuid(),
        )
