"""Second stage: find the image on this machine, or pull it; never counted as run time."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Final

from gyoza.worker.execution.context import ExecutionContext
from gyoza.worker.execution.failures import StageFailure
from gyoza.worker.execution.services import Services
from gyoza.worker.runtime.interface import ImageInfo, PullProgress
from gyoza.worker.waiting import end

PHASE: Final = "PULLING"
_MIB: Final = 1024 * 1024


class ResolveImage:
    """Finds an image by its digest, else by its name; one pull per image and worker at a time.

    Args:
        services: Of the worker.
    """

    name: ClassVar[str] = "resolve_image"
    is_always_entered: ClassVar[bool] = False
    is_interruptible: ClassVar[bool] = True

    def __init__(self, services: Services) -> None:
        self._services = services

    async def enter(self, context: ExecutionContext) -> None:
        """See `Stage.enter`."""
        references = candidates(context.assignment.image, context.assignment.image_digest)
        if await self._found(context, references):
            return
        context.report.phase(PHASE)
        # Whoever waited for the lock finds what another attempt has pulled meanwhile.
        async with self._services.image_locks[references[-1]]:
            if not await self._found(context, references):
                context.image = references[-1]
                context.image_info = await self._pull(context, references[-1])
                self._services.images.changed()

    async def exit(self, context: ExecutionContext) -> None:
        """See `Stage.exit`: nothing is held."""

    async def _found(self, context: ExecutionContext, references: list[str]) -> bool:
        for reference in references:
            info = await self._services.runtime.find_image(reference)
            if info is not None:
                context.image, context.image_info = reference, info
                return True
        return False

    async def _pull(self, context: ExecutionContext, reference: str) -> ImageInfo:
        timeouts = context.settings.timeouts
        watch = _Watch(context, self._services)
        pull = asyncio.ensure_future(self._services.runtime.pull(reference, watch.on_progress))
        ticking = asyncio.ensure_future(watch.expired(timeouts.pull_s, timeouts.pull_idle_s))
        try:
            await asyncio.wait((pull, ticking), return_when=asyncio.FIRST_COMPLETED)
            if pull.done():
                return await pull
            raise StageFailure("PULL_TIMEOUT", f"pulling {reference} took {await ticking}")
        finally:
            await end(pull, ticking)


class _Watch:
    """Follows one pull: tells of its progress, and when it has taken too long."""

    def __init__(self, context: ExecutionContext, services: Services) -> None:
        self._context = context
        self._clock = services.clock
        self._started_s = self._moved_s = services.clock.monotonic()
        self._done_bytes = -1
        self._told_s = self._started_s

    def on_progress(self, progress: PullProgress) -> None:
        now_s = self._clock.monotonic()
        # The engine talks on while nothing comes in; only bytes and the last steps are progress.
        if progress.done_bytes != self._done_bytes or progress.done_bytes >= progress.total_bytes:
            self._done_bytes = progress.done_bytes
            self._moved_s = now_s
        if now_s - self._told_s >= 1:
            self._told_s = now_s
            self._tell(progress)

    def _tell(self, progress: PullProgress) -> None:
        done, total = progress.done_bytes // _MIB, progress.total_bytes // _MIB
        self._context.report.phase(f"{PHASE} {done} of {total} MB" if total else PHASE)

    async def expired(self, pull_s: float | None, idle_s: float | None) -> str:
        while True:
            now_s = self._clock.monotonic()
            limits = [
                (since_s + limit_s, f"more than {limit_s:g} s{words}")
                for since_s, limit_s, words in (
                    (self._started_s, pull_s, ""),
                    (self._moved_s, idle_s, " without any progress"),
                )
                if limit_s is not None
            ]
            over = [words for at_s, words in limits if now_s >= at_s]
            if over:
                return over[0]
            await self._clock.sleep(min([at_s - now_s for at_s, _ in limits], default=3600.0))


def candidates(image: str, digest: str | None) -> list[str]:
    """References to look for, the one to pull last.

    A digest names bytes: of a registry (`repository@sha256:...`), or of this machine (an image's
    own id). Which of the two a bare `sha256:...` is only looking can tell.
    """
    if not digest:
        return [image]
    if "@" in digest:
        return [digest]
    return [digest, f"{_repository(image)}@{digest}"]


def _repository(image: str) -> str:
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"
