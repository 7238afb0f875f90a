"""Building through the `docker` command: which one can, carrying a build out, what became of it.

The command is used and not the engine's API, since only it speaks BuildKit and knows the user's
registries. Everything that an engine is asked about a build is asked here.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import IO, Final

from gyoza.project.build_progress import BuildKitReader, ClassicReader, Step, StepReader

_PROGRAM: Final = "docker"
_TAIL_LINES: Final = 30
_PROBE_S: Final = 10.0
_SPEC_S: Final = 120.0
# Since this one the command leaves BuildKit to its plug-in buildx.
_BUILDX_SINCE: Final = 23
_BUILDKIT_ENGINE: Final = (18, 9)
_UNREACHED: Final = re.compile(
    r"pull access denied|manifest unknown|no such host|failed to resolve|failed to do request"
    r"|connection refused|i/o timeout|TLS handshake|request canceled",
    re.IGNORECASE,
)


class Builder(Enum):
    """The two builders of the Docker Engine."""

    BUILDKIT = "buildkit"
    CLASSIC = "classic"


class BuildError(Exception):
    """A build, or what belongs to it, did not succeed.

    Attributes:
        message: What failed.
        tail: The last lines that the command printed.
        hint: What to do next; "" when the lines say it.
    """

    def __init__(self, message: str, tail: Sequence[str] = (), *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.tail = tuple(tail)
        self.hint = hint

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  | {line}" for line in self.tail)])


class NoBuilder(BuildError):
    """No `docker` command on this machine can build."""


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """What the engine says about an image.

    Attributes:
        reference: Its tag.
        image_id: `sha256:...`; the digest that this machine knows it by.
        digest: `name@sha256:...` of a registry; None while none has it.
        size_bytes: What it takes without compression, its base included.
    """

    reference: str
    image_id: str
    digest: str | None
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Order:
    """One build.

    Attributes:
        context: A tar, open for reading.
        tag: Name of the image; None gives it none.
        labels: Labels beside those of the Dockerfile.
        arguments: Values of the Dockerfile's ARG.
        uses_cache: Whether steps of earlier builds count.
        is_own: Whether the Dockerfile is the project's own, which names its images itself.
    """

    context: IO[bytes]
    tag: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])
    uses_cache: bool = True
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class Engine:
    """A `docker` command that can build.

    Attributes:
        program: Its path.
        builder: What it builds with.
        environment: Environment of the command.
    """

    program: str
    builder: Builder
    environment: Mapping[str, str]

    def build(
        self, order: Order, on_step: Callable[[Step], None], monotonic: Callable[[], float]
    ) -> str:
        """Carry a build out and return the image's id.

        Args:
            order: What to build.
            on_step: Is told every step when it is done.
            monotonic: Clock in seconds.

        Raises:
            BuildError: It failed; with the end of what the builder printed.
        """
        reader = BuildKitReader() if self.builder is Builder.BUILDKIT else ClassicReader(monotonic)
        with tempfile.TemporaryDirectory() as folder:
            answer = Path(folder) / "id"
            options = [*self._options(order), "--iidfile", str(answer)]
            command = [self.program, "build", *options, "-"]
            code, tail = self._follow(command, order.context, reader, on_step)
            if code != 0 or not answer.is_file():
                raise BuildError(
                    "the image was not built", tail, hint=_hint(tail, is_own=order.is_own)
                )
            return answer.read_text(encoding="utf-8").strip()

    def output_of(
        self, image: str, command: Sequence[str], mounts: Mapping[str, Path] | None = None
    ) -> str:
        """Return what a command prints inside an image: no network, nothing to write on.

        Args:
            image: Reference or id.
            command: Program and arguments.
            mounts: Folders of this machine by where the command sees them, read-only.

        Raises:
            BuildError: It fails, or does not end within two minutes.
        """
        sandbox = ["--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]  # noqa: S108  in the container
        shown = [
            # The option is a line of CSV: in quotes a path may hold commas.
            f'--mount=type=bind,readonly,"source={source}","target={target}"'
            for target, source in (mounts or {}).items()
        ]
        program, *arguments = command
        words = ["run", "--rm", *sandbox, *shown, "--entrypoint", program, image, *arguments]
        what = f"`{' '.join(command)}` failed inside the image"
        return self._ask(words, what, timeout_s=_SPEC_S)

    def inspect(self, tag: str) -> BuiltImage:
        """Return what an image is.

        Raises:
            BuildError: The engine has none of that name.
        """
        form = "{{.Id}}\n{{.Size}}\n{{range .RepoDigests}}{{.}}\n{{end}}"
        words = ["image", "inspect", "--format", form, tag]
        image_id, size, *digests = self._ask(words, f"{tag} cannot be inspected").split()
        name = _repository(tag)
        digest = next((d for d in digests if d.partition("@")[0] == name), None)
        return BuiltImage(tag, image_id, digest, int(size))

    def forget(self, image_id: str) -> None:
        """Remove an image that nothing names, or leave it to whatever still needs it."""
        _run([self.program, "image", "rm", image_id], self._environment(), _PROBE_S)

    def push(self, tag: str) -> None:
        """Push an image with the engine's own credentials.

        Raises:
            BuildError: The registry does not take it.
        """
        command = [self.program, "push", tag]
        code, tail = self._follow(command, None, BuildKitReader(), lambda _: None)
        if code != 0:
            name = _repository(tag)
            hint = f"`docker login` for the registry of {name}, or another name with --tag"
            raise BuildError(f"{tag} was not pushed", tail, hint=hint)

    def _options(self, order: Order) -> list[str]:
        return [
            *([] if order.tag is None else ["--tag", order.tag]),
            *(["--progress", "plain"] if self.builder is Builder.BUILDKIT else []),
            *([] if order.uses_cache else ["--no-cache"]),
            *(f"--label={name}={value}" for name, value in order.labels),
            *(f"--build-arg={name}={value}" for name, value in order.arguments.items()),
        ]

    def _follow(
        self,
        command: list[str],
        context: IO[bytes] | None,
        reader: StepReader,
        on_step: Callable[[Step], None],
    ) -> tuple[int, list[str]]:
        tail: deque[str] = deque(maxlen=_TAIL_LINES)
        with subprocess.Popen(  # noqa: S603  a list of words, no shell
            command,
            stdin=subprocess.DEVNULL if context is None else context,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment(),
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process:
            for raw in process.stdout or ():
                line = raw.rstrip()
                if line:
                    tail.append(line)
                for step in reader.read(line):
                    on_step(step)
        if process.returncode == 0:
            for step in reader.end():
                on_step(step)
        return process.returncode, list(tail)

    def _ask(self, words: list[str], failure: str, *, timeout_s: float = _PROBE_S) -> str:
        try:
            done = _run([self.program, *words], self._environment(), timeout_s)
        except subprocess.TimeoutExpired:
            raise BuildError(f"{failure}: no answer within {timeout_s:.0f} s") from None
        if done.returncode != 0:
            raise BuildError(failure, done.stderr.splitlines()[-_TAIL_LINES:])
        return done.stdout

    def _environment(self) -> dict[str, str]:
        is_buildkit = self.builder is Builder.BUILDKIT
        return {**self.environment, "DOCKER_BUILDKIT": "1" if is_buildkit else "0"}


def find_engine(environment: Mapping[str, str], wanted: Builder | None = None) -> Engine:
    """Return the first `docker` command on the path that can build, BuildKit before the other.

    Args:
        environment: Of the commands; `PATH` says where they are.
        wanted: Only this builder; None takes either.

    Raises:
        NoBuilder: None can; the message says of each why.
    """
    programs = _programs(environment)
    if not programs:
        hint = "install Docker Engine with buildx: https://docs.docker.com/engine/install/"
        raise NoBuilder("building needs the docker command, which is not on PATH", hint=hint)
    refusals: list[str] = []
    for builder in (Builder.BUILDKIT, Builder.CLASSIC) if wanted is None else (wanted,):
        for program in programs:
            refusal = _why_not(program, builder, environment)
            if not refusal:
                return Engine(program, builder, environment)
            refusals.append(f"{program}: {refusal}")
    hint = "start the engine, install docker-buildx, or try --builder classic"
    raise NoBuilder("no docker command here can build", list(dict.fromkeys(refusals)), hint=hint)


def _programs(environment: Mapping[str, str]) -> list[str]:
    found: dict[Path, str] = {}
    for folder in environment.get("PATH", "").split(":"):
        path = Path(folder) / _PROGRAM
        if folder and path.is_file():
            found.setdefault(path.resolve(), str(path))
    return list(found.values())


def _why_not(program: str, builder: Builder, environment: Mapping[str, str]) -> str:
    """Return why a command cannot build with a builder; "" when it can."""
    try:
        asked = ["version", "--format", "{{.Client.Version}} {{.Server.Version}}"]
        versions = _run([program, *asked], environment, _PROBE_S)
        if versions.returncode != 0:
            return " ".join(versions.stderr.split()) or "no engine answers"
        client, server = (_version(word) for word in versions.stdout.split())
        has_buildx = _run([program, "buildx", "version"], environment, _PROBE_S).returncode == 0
    except subprocess.TimeoutExpired:
        return f"no answer within {_PROBE_S:.0f} s"
    except (OSError, ValueError) as error:
        return f"cannot be used: {error}"
    if builder is Builder.CLASSIC or has_buildx:
        return ""
    return _why_not_buildkit(client, server)


def _why_not_buildkit(client: tuple[int, ...], server: tuple[int, ...]) -> str:
    if client >= (_BUILDX_SINCE,):
        return "BuildKit needs its plug-in buildx, which is not installed"
    return "" if server >= _BUILDKIT_ENGINE else "its engine is older than BuildKit"


def _version(text: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)", text)
    if found is None:
        raise ValueError(f"the version {text!r} is no version")
    return tuple(int(part) for part in found.groups())


def _run(
    command: list[str], environment: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  a list of words, no shell
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout_s,
        check=False,
    )


def _repository(reference: str) -> str:
    head, slash, tail = reference.partition("@")[0].rpartition("/")
    return head + slash + tail.partition(":")[0]


def _hint(tail: Sequence[str], *, is_own: bool) -> str:
    if not any(_UNREACHED.search(line) for line in tail):
        return ""
    if is_own:
        return (
            "an image that the project's Dockerfile begins with could not be pulled; name one that "
            "is here in its FROM, or write `ARG BASE` and `FROM $BASE` and pass --base IMAGE"
        )
    return "the base image could not be pulled; name another with --base or GYOZA_BASE_IMAGE"
