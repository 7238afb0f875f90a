"""The Docker Engine behind the runtime interface, spoken to through aiodocker over its socket.

Here are the calls, their time limits and their order; what is asked is in `docker_spec`, how
answers and refusals read in `docker_answers` and `docker_errors`, the log stream in `docker_logs`.
Only a local socket will do, since containers and worker share folders.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (aiodocker annotates what its calls return, but neither their **kwargs nor their mappings.)

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, final

import aiohttp
from aiodocker import Docker, DockerError
from aiodocker.containers import DockerContainer

from gyoza.worker.runtime import docker_errors
from gyoza.worker.runtime.docker_answers import (
    PullMeter,
    checked_reference,
    container_state,
    engine_info,
    image_info,
    image_names,
    signal_of,
)
from gyoza.worker.runtime.docker_host import engine_process, nofile_limit
from gyoza.worker.runtime.docker_logs import LogCursor, LogDecoder, since_parameter
from gyoza.worker.runtime.docker_spec import create_body, refuse_engine_socket
from gyoza.worker.runtime.interface import (
    ContainerGone,
    ContainerHandle,
    ContainerSpec,
    ContainerState,
    EngineInfo,
    ImageInfo,
    ImageNotFound,
    LogChunk,
    LogPosition,
    ManagedContainer,
    NameConflict,
    PullDenied,
    PullProgress,
    RuntimeFault,
)
from gyoza.worker.runtime.registry_auth import HEADER, CredentialsUnreadable

DEFAULT_SOCKET: Final = "/var/run/docker.sock"
ENGINE_SOCKETS: Final = (DEFAULT_SOCKET, "/run/containerd/containerd.sock")
CANNOT_CONNECT: Final = 900  # the status aiodocker gives an error that came from no engine

Refusal = Callable[[int, str], RuntimeFault]


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerTimeouts:
    """How long the engine may take, in seconds: a call to a frozen daemon blocks for ever.

    Attributes:
        inspect_s: For questions.
        list_s: To list all images, of which there may be thousands.
        create_s: To create a container.
        start_s: To start one; a busy machine takes seconds.
        signal_s: To deliver a signal.
        remove_s: To remove one, killing it first if need be.
    """

    inspect_s: float = 5.0
    list_s: float = 20.0
    create_s: float = 30.0
    start_s: float = 60.0
    signal_s: float = 10.0
    remove_s: float = 60.0


@final
class DockerRuntime:
    """`ContainerRuntime` on a Docker Engine of this machine. Make it inside a running event loop.

    Args:
        socket: Path of the engine's Unix socket.
        timeouts: Limits of the calls that must answer.
        registry_auth: From an image's name to the `X-Registry-Auth` of its pull, "" for none; may
            wait, and is asked in a thread. None pulls without credentials.
    """

    def __init__(
        self,
        socket: str = DEFAULT_SOCKET,
        timeouts: DockerTimeouts | None = None,
        registry_auth: Callable[[str], str] | None = None,
    ) -> None:
        # Each running container holds two connections for its whole life (wait and logs), so the
        # usual limit of 100 would make the hundred-and-first call wait for a container to end.
        connector = aiohttp.UnixConnector(socket, limit=0)
        # Pulls and logs take as long as they take; without this aiohttp ends them after 5 minutes.
        endless = aiohttp.ClientTimeout(total=None, sock_connect=30)
        self._session = aiohttp.ClientSession(connector=connector, timeout=endless)
        self._docker = Docker("unix://localhost", connector=connector, session=self._session)
        self._timeouts = timeouts or DockerTimeouts()
        self._socket = socket
        self._registry_auth = registry_auth
        self._nofile: int | None = None  # known from the first create on
        self._sockets = tuple({Path(path).resolve() for path in (socket, *ENGINE_SOCKETS)})

    async def fingerprint(self) -> EngineInfo:
        """See `ContainerRuntime.fingerprint`."""
        self._nofile = None  # it may have been restarted with other rights
        async with _asking("identify the engine", self._timeouts.inspect_s):
            info = await self._docker.system.info()
            process = await asyncio.to_thread(engine_process, self._socket)
            return engine_info(info, await self._docker.version(), process)

    async def find_image(self, ref: str) -> ImageInfo | None:
        """See `ContainerRuntime.find_image`."""
        checked_reference(ref)
        try:
            async with _asking(f"look for image {ref}", self._timeouts.inspect_s):
                return image_info(ref, await self._docker.images.inspect(ref))
        except ContainerGone:
            return None

    async def list_images(self, most: int) -> list[str]:
        """See `ContainerRuntime.list_images`."""
        async with _asking("list images", self._timeouts.list_s):
            return image_names(await self._docker.images.list(), most)

    async def pull(self, ref: str, on_progress: Callable[[PullProgress], None]) -> ImageInfo:
        """See `ContainerRuntime.pull`. Cancelling it ends the pull in the engine too."""
        params = pull_parameters(checked_reference(ref))
        refusal = partial(docker_errors.pull_refused, ref)
        meter = PullMeter()
        headers = await self._credentials(ref)
        async with self._stream(
            "POST", "images/create", params, f"pull {ref}", refusal, headers
        ) as answer:
            async for line in answer.content:
                message = json.loads(line)
                if "error" in message:  # refusals that come after the engine has said 200
                    raise refusal(0, str(message["error"]))
                on_progress(meter.take(message))
        found = await self.find_image(ref)
        if found is None:
            raise ImageNotFound(f"image {ref} was pulled and is gone already; was it pruned?")
        return found

    async def _credentials(self, ref: str) -> dict[str, str]:
        if self._registry_auth is None:
            return {}
        try:
            value = await asyncio.to_thread(self._registry_auth, ref)
        except CredentialsUnreadable as error:
            raise PullDenied(
                f"the credentials for image {ref} cannot be read: {error}", detail=str(error)
            ) from error
        return {HEADER: value} if value else {}

    async def create(self, spec: ContainerSpec) -> ContainerHandle:
        """See `ContainerRuntime.create`."""
        checked_reference(spec.image)
        self._refuse_engine_socket(spec)
        verb, refusal = f"create {spec.name}", partial(docker_errors.create_refused, spec)
        try:
            async with _asking(verb, self._timeouts.create_s, refusal):
                made = await self._docker.containers.create(self._body(spec), name=spec.name)
                return ContainerHandle(made.id, spec.name)
        except NameConflict as conflict:
            return await self._adopt(spec, conflict)

    def _body(self, spec: ContainerSpec) -> dict[str, Any]:
        if self._nofile is None:
            self._nofile = nofile_limit(self._socket)
        return create_body(spec, self._nofile)

    def _refuse_engine_socket(self, spec: ContainerSpec) -> None:
        resolved = (
            replace(mount, source=str(Path(mount.source).resolve())) for mount in spec.mounts
        )
        refuse_engine_socket(resolved, self._sockets)

    async def _adopt(self, spec: ContainerSpec, conflict: NameConflict) -> ContainerHandle:
        # A create that timed out may have been carried out: its labels tell. An ended twin is not
        # handed out, because whoever asks to create goes on to start, and would run it again.
        async with _asking(f"inspect {spec.name}", self._timeouts.inspect_s):
            twin = await self._docker.containers.container(spec.name).show()
            labels: Mapping[str, str] = twin["Config"]["Labels"] or {}
            state, handle = container_state(twin), ContainerHandle(twin["Id"], spec.name)
        if not spec.labels or not spec.labels.items() <= labels.items() or state.has_ended:
            raise conflict
        return handle

    async def start(self, handle: ContainerHandle) -> None:
        """See `ContainerRuntime.start`."""
        refusal = partial(docker_errors.start_refused, handle.name)
        async with _asking(f"start {handle.name}", self._timeouts.start_s, refusal):
            await self._container(handle).start()

    async def wait(self, handle: ContainerHandle) -> ContainerState:
        """See `ContainerRuntime.wait`."""
        while True:
            async with _asking(f"wait for {handle.name}", None):
                await self._container(handle).wait(condition="not-running")
            state = await self.inspect(handle)
            if state.has_ended:
                return state
            if state.status == "removing":
                raise ContainerGone(f"container {handle.name} was removed while it was waited for")
            if state.status == "created":  # to the engine that is "not running" as well
                await self._next_exit(handle)

    async def _next_exit(self, handle: ContainerHandle) -> None:
        path, params = f"containers/{handle.id}/wait", {"condition": "next-exit"}
        async with self._stream("POST", path, params, f"wait for {handle.name}") as answer:
            # The headers came, so the engine has noted that we wait; only a container that ended
            # before that would be waited for in vain.
            if not (await self.inspect(handle)).has_ended:
                await answer.read()

    async def inspect(self, handle: ContainerHandle) -> ContainerState:
        """See `ContainerRuntime.inspect`."""
        async with _asking(f"inspect {handle.name}", self._timeouts.inspect_s):
            return container_state(await self._container(handle).show())

    async def signal(self, handle: ContainerHandle, signal: str) -> None:
        """See `ContainerRuntime.signal`."""
        verb = f"send {signal} to {handle.name}"
        async with _asking(verb, self._timeouts.signal_s):
            try:
                await self._container(handle).kill(signal=signal)
            except DockerError as error:
                if error.status != HTTPStatus.CONFLICT:  # conflict: it does not run (any more)
                    raise

    async def signals_seen(self, handle: ContainerHandle, state: ContainerState) -> frozenset[int]:
        """See `ContainerRuntime.signals_seen`. The engine remembers its last 256 events."""
        if state.started_at is None or state.finished_at is None:
            return frozenset()
        params = {
            "since": str(int(state.started_at.timestamp())),
            # A moment to come would make the engine wait for it: it is at most a second away.
            "until": str(int(state.finished_at.timestamp()) + 1),
            "filters": json.dumps({"container": [handle.id], "event": ["kill"]}),
        }
        verb = f"ask who ended {handle.name}"
        async with (
            _asking(verb, self._timeouts.inspect_s),
            self._stream("GET", "events", params, verb) as answer,
        ):
            return frozenset([signal_of(json.loads(line)) async for line in answer.content])

    async def kill(self, handle: ContainerHandle) -> None:
        """See `ContainerRuntime.kill`."""
        await self.signal(handle, "SIGKILL")

    async def logs(
        self, handle: ContainerHandle, after: LogPosition | None = None
    ) -> AsyncGenerator[LogChunk, None]:
        """See `ContainerRuntime.logs`."""
        cursor = LogCursor(after)
        async with aclosing(self._log_parts(handle, cursor.rewind(), cursor, follow=True)) as live:
            async for chunk in live:
                yield chunk
        # Docker (20.10 at least) ends the stream it follows before it has sent what the container
        # wrote last, mostly where a line end is missing: read once more what is on its disk.
        try:
            async with aclosing(
                self._log_parts(handle, cursor.rewind(), cursor, follow=False)
            ) as rest:
                async for chunk in rest:
                    yield chunk
        except ContainerGone:
            return  # removed since: what has come is all there is

    async def _log_parts(
        self, handle: ContainerHandle, since_ns: int | None, cursor: LogCursor, *, follow: bool
    ) -> AsyncGenerator[LogChunk, None]:
        params = {"stdout": "1", "stderr": "1", "timestamps": "1", "follow": str(int(follow))}
        if since_ns is not None:
            params["since"] = since_parameter(since_ns)
        path, verb = f"containers/{handle.id}/logs", f"read the log of {handle.name}"
        async with self._stream("GET", path, params, verb) as answer:
            decoder = LogDecoder()
            async for data in answer.content.iter_any():
                for chunk in decoder.feed(data):
                    fresh = cursor.take(chunk)
                    if fresh is not None:
                        yield fresh

    async def remove(self, handle: ContainerHandle) -> None:
        """See `ContainerRuntime.remove`."""
        container = self._container(handle)
        async with _asking(f"remove {handle.name}", self._timeouts.remove_s):
            try:
                await container.delete(force=True, v=True)
            except DockerError as error:
                if (
                    error.status == HTTPStatus.CONFLICT
                ):  # someone else is removing it: be there at the end
                    await _until_removed(container)
                elif error.status != HTTPStatus.NOT_FOUND:
                    raise

    async def list_managed(self, labels: Mapping[str, str]) -> list[ManagedContainer]:
        """See `ContainerRuntime.list_managed`."""
        wanted = [f"{name}={value}" for name, value in labels.items()]
        async with _asking("list containers", self._timeouts.inspect_s):
            listed = await self._docker.containers.list(
                all="1", filters=json.dumps({"label": wanted})
            )
        found = [await self._managed(container) for container in listed]
        return [managed for managed in found if managed is not None]

    async def _managed(self, listed: DockerContainer) -> ManagedContainer | None:
        # The list has no exit codes, so each is asked for; it may be gone by now.
        names: list[str] = listed["Names"] or [listed.id]
        handle = ContainerHandle(listed.id, names[0].removeprefix("/"))
        try:
            return ManagedContainer(handle, dict(listed["Labels"]), await self.inspect(handle))
        except ContainerGone:
            return None

    async def close(self) -> None:
        """See `ContainerRuntime.close`."""
        await self._docker.close()
        await self._session.close()

    def _container(self, handle: ContainerHandle) -> DockerContainer:
        return self._docker.containers.container(handle.id)

    @asynccontextmanager
    async def _stream(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        verb: str,
        refusal: Refusal | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        # Beside aiodocker, on its session: its own streams lose the labels of a log, and stay open
        # in the engine when their reader is cancelled.
        if self._docker.api_version == "auto":
            await self.fingerprint()
        url = f"unix://localhost/{self._docker.api_version}/{path}"
        async with (
            _asking(verb, None, refusal),
            self._session.request(method, url, params=params, headers=headers) as answer,
        ):
            if answer.status >= HTTPStatus.BAD_REQUEST:
                raise DockerError(answer.status, _words(await answer.text()))
            yield answer


async def _until_removed(container: DockerContainer) -> None:
    try:
        await container.wait(condition="removed")
    except DockerError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise


@asynccontextmanager
async def _asking(
    verb: str, limit_s: float | None, refusal: Refusal | None = None
) -> AsyncGenerator[None]:
    """One question to the engine: limited in time, and every way to fail is a `RuntimeFault`."""
    try:
        async with asyncio.timeout(limit_s):
            yield
    except TimeoutError as error:
        raise docker_errors.timed_out(verb, limit_s or 0) from error
    except DockerError as error:
        if error.status == CANNOT_CONNECT:
            raise docker_errors.unavailable(verb, error.message) from error
        raise (refusal or partial(docker_errors.refused, verb))(
            error.status, error.message
        ) from error
    except (aiohttp.ClientError, OSError) as error:
        words = str(error) or type(error).__name__
        raise docker_errors.unavailable(verb, words) from error
    except (KeyError, TypeError, ValueError) as error:
        raise RuntimeFault(
            f"could not {verb}: the Docker Engine's answer was not understood ({error!r})",
            detail=repr(error),
        ) from error


def _words(body: str) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.strip()


def pull_parameters(ref: str) -> dict[str, str]:
    """The query of the pull call: a bare name means `:latest`, or the engine pulls every tag.

    Raises:
        ImageNotFound: `ref` is a local image id, which no registry knows.
    """
    if ref.startswith("sha256:"):
        raise ImageNotFound(
            f"{ref} is a local image id and not on this machine; build it here, or push it to a"
            " registry and deploy it by its digest there"
        )
    name = ref.rsplit("/", 1)[-1]
    return {"fromImage": ref} if ":" in name or "@" in name else {"fromImage": ref, "tag": "latest"}
