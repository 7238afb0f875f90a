"""The Docker Engine's answers read into the values of the interface.

Pure functions from parsed JSON to values, and the sum of a pull's messages. An answer that lacks
what the API promises raises KeyError here and becomes a `RuntimeFault` where the call was made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from signal import Signals
from typing import Any, Final, cast, get_args

from gyoza.worker.runtime.docker_spec import MEBIBYTE
from gyoza.worker.runtime.interface import (
    Capabilities,
    ContainerState,
    EngineInfo,
    ImageInfo,
    ImageNotFound,
    PullProgress,
    Status,
)

NEVER: Final = "0001-01-01T00:00:00Z"
_REFERENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,511}")
_FRACTION: Final = re.compile(r"\.(\d+)")


def container_state(answer: Mapping[str, Any]) -> ContainerState:
    """The `State` of `GET /containers/{id}/json`."""
    state: Mapping[str, Any] = answer["State"]
    status = state["Status"]
    has_ended = status in ("exited", "dead")
    return ContainerState(
        status=cast("Status", status) if status in get_args(Status) else "dead",
        exit_code=int(state["ExitCode"]) if has_ended else None,
        oom_killed=bool(state["OOMKilled"]),
        started_at=moment(state["StartedAt"]),
        finished_at=moment(state["FinishedAt"]) if has_ended else None,
        error=state["Error"],
    )


def moment(text: str) -> datetime | None:
    """A time of the engine's, to the microsecond; None for its zero time."""
    if not text or text == NEVER:
        return None
    # Python reads at most six decimals exactly; the engine sends up to nine, without zeros.
    return datetime.fromisoformat(_FRACTION.sub(lambda found: f".{found[1][:6]:0<6}", text))


def image_info(ref: str, answer: Mapping[str, Any]) -> ImageInfo:
    """`GET /images/{name}/json`."""
    digests: list[str] = answer.get("RepoDigests") or []
    repository = ref.partition("@")[0]
    ours = [digest for digest in digests if repository.startswith(digest.partition("@")[0])]
    return ImageInfo(
        id=answer["Id"],
        repo_digest=next(iter([*ours, *digests]), None),
        size_bytes=int(answer["Size"]),
    )


def image_names(answer: Iterable[Mapping[str, Any]], most: int) -> list[str]:
    """The names of `GET /images/json`; see `ContainerRuntime.list_images`."""
    newest = sorted(answer, key=lambda image: int(image["Created"]), reverse=True)[:most]
    names: set[str] = set()
    for image in newest:
        digests: list[str] = image.get("RepoDigests") or []
        tags: list[str] = image.get("RepoTags") or []
        names |= {image["Id"], *digests, *(digest.rpartition("@")[2] for digest in digests)}
        names |= {*tags, *(tag.removesuffix(":latest") for tag in tags)}
    # Images without a name are listed under one that means "none".
    return sorted(name for name in names if "<none>" not in name)


def signal_of(event: Mapping[str, Any]) -> int:
    """The signal of a `kill` event of `GET /events`."""
    text = str(event["Actor"]["Attributes"]["signal"])
    return int(text) if text.isdecimal() else int(Signals[text.upper()])


def engine_info(
    info: Mapping[str, Any], version: Mapping[str, Any], process: str = ""
) -> EngineInfo:
    """`GET /info` and `GET /version` together, and the process that answered them."""
    runtimes = tuple(sorted(info.get("Runtimes") or {}))
    return EngineInfo(
        engine_id=info["ID"],
        version=version["Version"],
        api_version=version["ApiVersion"],
        cpus=int(info["NCPU"]),
        memory_mb=int(info["MemTotal"]) // MEBIBYTE,
        cgroup_version=info.get("CgroupVersion", "1"),
        storage_driver=info.get("Driver", ""),
        runtimes=runtimes,
        security_options=tuple(info.get("SecurityOptions") or ()),
        is_live_restore=bool(info.get("LiveRestoreEnabled")),
        process=process,
        capabilities=Capabilities(
            gpus="nvidia" in runtimes or bool(info.get("CDISpecDirs")),
            memory_limit=bool(info.get("MemoryLimit")),
            pids_limit=bool(info.get("PidsLimit")),
        ),
    )


def checked_reference(ref: str) -> str:
    """`ref`, if it can be an image reference and nothing else.

    A reference becomes part of a URL, and callers write it: `x/../../info?` must stay a name.

    Raises:
        ImageNotFound: It cannot name an image.
    """
    if not _REFERENCE.fullmatch(ref) or any(part in ("", ".", "..") for part in ref.split("/")):
        raise ImageNotFound(
            f"{ref!r} is not an image reference; expected one such as python:3.12-slim,"
            " registry.example/team/op:7 or repository@sha256:..."
        )
    return ref


class PullMeter:
    """Adds up the progress messages of one pull, which come per layer."""

    __slots__ = ("_done", "_total")

    def __init__(self) -> None:
        self._done: dict[str, int] = {}
        self._total: dict[str, int] = {}

    def take(self, message: Mapping[str, Any]) -> PullProgress:
        """Count one message of `POST /images/create` in, and say how far the whole has come."""
        layer = str(message.get("id", ""))
        text = str(message.get("status", ""))
        detail: Mapping[str, Any] = message.get("progressDetail") or {}
        if text == "Downloading" and "total" in detail:
            self._total[layer] = int(detail["total"])
            self._done[layer] = int(detail.get("current", 0))
        elif text in ("Download complete", "Pull complete"):
            self._done[layer] = self._total.get(layer, 0)
        return PullProgress(
            done_bytes=sum(self._done.values()),
            total_bytes=sum(self._total.values()),
            text=f"{layer}: {text}" if layer else text,
        )
