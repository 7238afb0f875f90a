"""The one narrow interface behind which containers run: its verbs, its values, its faults.

Whatever runs containers (the Docker Engine, a scripted fake, later a cluster) implements
`ContainerRuntime` and passes the suite in `tests/contract/runtime`. Values only: nothing here
knows an engine, and what an exit code means for a run is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self

StreamName = Literal["stdout", "stderr"]
Status = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder or file of this machine, shown inside a container.

    Attributes:
        source: Absolute path on this machine; it must exist.
        target: Absolute path inside the container.
        read_only: True unless the container is to write there.
    """

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """All that a caller may ask of a container; every other setting is the runtime's policy.

    Attributes:
        name: Unique on this machine and deterministic, so that a repeated create finds its twin.
        image: A tag, a digest reference or a local image id; it must already be on this machine.
        command: The whole command line, in place of the image's ENTRYPOINT and CMD; None runs
            what the image says.
        env: Environment variables, added to the image's own and winning over them.
        labels: What the container is found by later; never secrets.
        mounts: Folders and files of this machine to show inside.
        user: `uid:gid`, or a name the image knows.
        memory_mb: Limit in MiB, at least 6; there is no swap beyond it.
        cpus: Share of the machine's processors, such as 0.5 or 2.
        pids: Most processes and threads at one time.
        shm_mb: Size of `/dev/shm` in MiB; it counts as the container's memory.
        tmpfs_mb: Size of `/tmp` in MiB, the only writable place but the mounts; it counts too.
        network: False gives loopback only.
        gpu_uuids: The GPUs to show, by UUID; empty shows none.
        stop_grace_s: Seconds between SIGTERM and SIGKILL if the engine itself has to stop it.
        working_dir: None keeps the image's.
    """

    name: str
    image: str
    command: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    mounts: tuple[Mount, ...] = ()
    user: str = "65532:65532"
    memory_mb: int = 512
    cpus: float = 1.0
    pids: int = 1024
    shm_mb: int = 64
    tmpfs_mb: int = 64
    network: bool = False
    gpu_uuids: tuple[str, ...] = ()
    stop_grace_s: int = 10
    working_dir: str | None = None


@dataclass(frozen=True, slots=True)
class ContainerHandle:
    """What a later process of the worker needs to find a container again.

    Attributes:
        id: The engine's own id.
        name: The name it was created under.
    """

    id: str
    name: str

    def to_dict(self) -> dict[str, str]:
        """The handle as plain JSON values, for the journal."""
        return {"id": self.id, "name": self.name}

    @classmethod
    def from_dict(cls, data: Mapping[str, str]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            KeyError: `data` lacks `id` or `name`.
        """
        return cls(id=data["id"], name=data["name"])


@dataclass(frozen=True, slots=True)
class ContainerState:
    """What the engine says of a container, uninterpreted.

    Attributes:
        status: Where it is in its life; `exited` and `dead` are the ends.
        exit_code: None until it has ended, and if it could not start. After a signal, 128 + its
            number.
        oom_killed: The kernel killed something in it for memory; true even when the main process
            went on to exit 0, so it means nothing without a non-zero exit code.
        started_at: None if it never started.
        finished_at: None until it has ended. In a run of milliseconds Docker may put it before
            `started_at`: a difference of both may be negative.
        error: The engine's words if it could not start the container; empty otherwise.
    """

    status: Status
    exit_code: int | None = None
    oom_killed: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str = ""

    @property
    def has_ended(self) -> bool:
        """It will not run again by itself: it exited, or could not even start."""
        return self.status in ("exited", "dead") or (self.status == "created" and bool(self.error))


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A piece of output: mostly one line with its line end, and never more than arrived at once.

    Attributes:
        stream: Where the container wrote it.
        data: The bytes, undecoded; a long line comes in several pieces.
        t_ns: Nanoseconds since 1970 at which the engine received it, equal for all pieces of one
            long line; None where the engine does not say.
    """

    stream: StreamName
    data: bytes
    t_ns: int | None = None


class StreamPosition(NamedTuple):
    """How far one stream of a container was read.

    Attributes:
        t_ns: The time of the last bytes read.
        size: How many bytes of that very time were read.
        ends_line: They ended a line; if not, more of the same time may follow at any moment.
    """

    t_ns: int
    size: int
    ends_line: bool


class LogPosition(NamedTuple):
    """How far a container's output was read, to the byte; None for a stream not heard yet.

    A time alone is no position: all pieces of a long line carry the time of its first, and the
    streams may be out of order by the microseconds between the engine's two readers.
    """

    stdout: StreamPosition | None = None
    stderr: StreamPosition | None = None

    def after(self, chunk: LogChunk) -> LogPosition:
        """The position behind the next chunk."""
        t_ns = chunk.t_ns or 0
        before = getattr(self, chunk.stream)
        size = len(chunk.data) + (before.size if before and before.t_ns == t_ns else 0)
        reached = StreamPosition(t_ns, size, chunk.data.endswith(b"\n"))
        if chunk.stream == "stdout":
            return LogPosition(reached, self.stderr)
        return LogPosition(self.stdout, reached)

    def to_list(self) -> list[list[Any] | None]:
        """As plain JSON values, for the journal."""
        return [None if each is None else list(each) for each in self]

    @classmethod
    def from_list(cls, data: Sequence[Sequence[Any] | None]) -> Self:
        """The inverse of `to_list`.

        Raises:
            TypeError: `data` is nothing of the kind.
        """
        return cls(*(None if each is None else StreamPosition(*each) for each in data))


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """An image on this machine.

    Attributes:
        id: The local image id, `sha256:...`.
        repo_digest: `repository@sha256:...` as the registry knows it; None if it came from none.
        size_bytes: Size on this machine, unpacked.
    """

    id: str
    repo_digest: str | None
    size_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, for the journal."""
        return {"id": self.id, "repo_digest": self.repo_digest, "size_bytes": self.size_bytes}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            KeyError: A member is missing.
        """
        return cls(data["id"], data["repo_digest"], data["size_bytes"])


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a pull has come.

    Attributes:
        done_bytes: Bytes downloaded, over all layers met so far.
        total_bytes: Bytes of all layers met so far; it grows while layers are discovered.
        text: The engine's own words for what it just did.
    """

    done_bytes: int
    total_bytes: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a runtime can do, as data, so that nobody asks which runtime it is.

    Attributes:
        pull: It can fetch images from a registry.
        gpus: It can show GPUs to a container.
        network_disabled: It can run a container without any network.
        memory_limit: It enforces `ContainerSpec.memory_mb`.
        pids_limit: It enforces `ContainerSpec.pids`.
        reattach: A container outlives the worker and can be found again.
    """

    pull: bool = True
    gpus: bool = False
    network_disabled: bool = True
    memory_limit: bool = True
    pids_limit: bool = True
    reattach: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """The fingerprint of an engine.

    Attributes:
        engine_id: Stays the same across the engine's restarts.
        version: Of the engine.
        api_version: That is spoken with it.
        cpus: Processors the engine may hand out.
        memory_mb: Memory of the machine as the engine sees it, in MiB.
        cgroup_version: "1" or "2".
        storage_driver: How images are stored.
        runtimes: Names of the low-level runtimes it knows.
        security_options: Such as `name=seccomp,profile=default`.
        is_live_restore: Containers outlive a restart of the engine.
        process: Names the very process that answered, so that a restart shows; "" if unknown.
        capabilities: What it can do.
    """

    engine_id: str
    version: str
    api_version: str
    cpus: int
    memory_mb: int
    cgroup_version: str
    storage_driver: str = ""
    runtimes: tuple[str, ...] = ()
    security_options: tuple[str, ...] = ()
    is_live_restore: bool = False
    process: str = ""
    capabilities: Capabilities = field(default_factory=Capabilities)


class ManagedContainer(NamedTuple):
    """One line of a runtime's inventory."""

    handle: ContainerHandle
    labels: Mapping[str, str]
    state: ContainerState


class RuntimeFault(Exception):
    """What a runtime was asked to do did not happen; raised as such for answers of no known kind.

    Args:
        message: What failed, with which value, and what to do next; for a person.
        is_recoverable: Overrides the class: the same request may succeed later or elsewhere.
        detail: The engine's own words, unshortened; empty if it said nothing.
        charged: Overrides the class: the fault is in what the user asked for, so the attempt
            counts against the user's own retries.
    """

    default_is_recoverable: ClassVar[bool] = True
    default_charged: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        is_recoverable: bool | None = None,
        detail: str = "",
        charged: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.is_recoverable = (
            self.default_is_recoverable if is_recoverable is None else is_recoverable
        )
        self.detail = detail
        self.charged = self.default_charged if charged is None else charged


class EngineUnavailable(RuntimeFault):
    """The engine cannot be reached, or the connection broke: nothing is known of the request."""


class EngineTimeout(RuntimeFault):
    """The engine did not answer in time: the request may or may not have been carried out."""


class ImageNotFound(RuntimeFault):
    """No such image: not on this machine, or not in the registry when pulling."""

    default_is_recoverable = False
    default_charged = True


class PullDenied(RuntimeFault):
    """The registry does not let us have the image."""

    default_is_recoverable = False
    default_charged = True


class PullFailed(RuntimeFault):
    """The image could not be fetched: network, registry trouble, rate limit, full disk."""


class StartFailed(RuntimeFault):
    """The engine will not create or start this container as it is described."""

    default_is_recoverable = False
    default_charged = True


class NameConflict(RuntimeFault):
    """The name is taken: by a container with other labels, or by one that must not run again."""

    default_is_recoverable = False


class ContainerGone(RuntimeFault):
    """The engine knows no such container (any more)."""

    default_is_recoverable = False


class OutOfResources(RuntimeFault):
    """The machine cannot give what was asked for: more CPUs than it has, a full disk."""


class GpuFailed(RuntimeFault):
    """The engine cannot show a GPU to the container: the card, its driver or the toolkit."""


class ContainerRuntime(Protocol):
    """Containers, in a dozen verbs.

    Every verb but `wait`, `logs` and `pull` answers within a bounded time, by `EngineTimeout` if
    need be, and every verb may raise `EngineUnavailable`. Those three last as long as they last
    and end at once when their task is cancelled. All verbs may be used from many tasks at a time.
    """

    async def fingerprint(self) -> EngineInfo:
        """Who the engine is and what it can do."""
        ...

    async def find_image(self, ref: str) -> ImageInfo | None:
        """The image on this machine that `ref` names (tag, digest or local id), or None."""
        ...

    async def pull(self, ref: str, on_progress: Callable[[PullProgress], None]) -> ImageInfo:
        """Fetch an image from its registry.

        Args:
            ref: A tag (`:latest` if it has none) or a digest reference.
            on_progress: Called at each message of the engine, so that a caller can tell a slow
                pull from a stuck one.

        Raises:
            ImageNotFound: The registry has no such image, or `ref` is not a reference.
            PullDenied: The registry wants other credentials.
            PullFailed: Anything else.
        """
        ...

    async def list_images(self, most: int) -> list[str]:
        """What the images on this machine are called: tags, digest references, local ids.

        A tag `latest` is named with and without it; a digest with and without its repository. In
        no special order.

        Args:
            most: So many images, the newest.
        """
        ...

    async def create(self, spec: ContainerSpec) -> ContainerHandle:
        """Make a container, without starting it.

        May be repeated: if a container of that name carries all of `spec.labels` and has not ended,
        it is the one an earlier call made, and its handle is returned.

        Raises:
            ImageNotFound: The image is not on this machine; creating never pulls.
            NameConflict: The name belongs to another container, or to one that has ended.
            StartFailed: The engine refuses the specification.
            OutOfResources: More CPUs than the machine has, or less memory than the engine needs.
        """
        ...

    async def start(self, handle: ContainerHandle) -> None:
        """Start a created container; nothing happens if it runs already.

        After `EngineTimeout` inspect before calling again: starting an ended container reruns it.

        Raises:
            StartFailed: The engine cannot start it.
            ContainerGone: There is no such container.
        """
        ...

    async def wait(self, handle: ContainerHandle) -> ContainerState:
        """Wait for the end, and say how it ended.

        At once for a container that has ended or could not start. One that is only created is
        waited for until it has been started and has ended.

        Raises:
            ContainerGone: There is no such container, or it was removed while waiting.
        """
        ...

    async def inspect(self, handle: ContainerHandle) -> ContainerState:
        """The state right now.

        Raises:
            ContainerGone: There is no such container.
        """
        ...

    async def signals_seen(self, handle: ContainerHandle, state: ContainerState) -> frozenset[int]:
        """Numbers of the signals that the engine was asked to send to an ended container.

        By us or by anybody else: `docker kill` and `docker stop` show here, what a process of the
        machine sends directly does not. An engine forgets: none known proves nothing.

        Args:
            handle: Also of a container that has been removed since.
            state: Its end; the time between start and end is looked at.
        """
        ...

    async def signal(self, handle: ContainerHandle, signal: str) -> None:
        """Send a signal such as `SIGTERM` to the main process; nothing happens if it has ended.

        Raises:
            ContainerGone: There is no such container.
        """
        ...

    async def kill(self, handle: ContainerHandle) -> None:
        """Send SIGKILL; nothing happens if it has ended. `wait` says when it is dead.

        Raises:
            ContainerGone: There is no such container.
        """
        ...

    def logs(
        self, handle: ContainerHandle, after: LogPosition | None = None
    ) -> AsyncGenerator[LogChunk, None]:
        """What the container writes, from the beginning, until it has ended.

        Call it after `start`: what was only created says nothing. It works on an ended container.
        Close it (`contextlib.aclosing`) when leaving early.

        Args:
            handle: Whose output.
            after: Where an earlier reading got; only what lies behind it follows, to the byte.

        Raises:
            ContainerGone: There is no such container.
            EngineUnavailable: The stream broke; take it up again with `after`.
        """
        ...

    async def remove(self, handle: ContainerHandle) -> None:
        """Remove a container with its logs and anonymous volumes, killing it if it still runs.

        Nothing happens if it is gone. When this returns it no longer exists.
        """
        ...

    async def list_managed(self, labels: Mapping[str, str]) -> list[ManagedContainer]:
        """All containers, ended ones too, that carry every one of `labels`, in no special order."""
        ...

    async def close(self) -> None:
        """Let go of connections. Containers are left as they are; may be called twice."""
        ...
