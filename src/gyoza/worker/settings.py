"""The worker's settings, read once from the environment; nothing else here reads it.

Names and defaults are those of `docs/architecture/contracts.md`.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Any, Final

import platformdirs
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_PAIR: Final = 2


class WorkerSettings(BaseSettings):
    """What an operator may say about a worker.

    Attributes:
        server_url: Where the server is.
        worker_key: Sent with every call; "" sends none.
        name: For people; the machine's name unless said.
        state_dir: Where this worker keeps who it is, its journal and its work folders.
        replace: Have a worker that uses the same state folder hand over, and go on with what it
            runs, in place of refusing to start.
        tags: What selectors match, written `zone=attic,disk=ssd`.
        cpu: Whole CPUs to offer; 0 for all.
        ram_mb: Memory to offer in megabytes; 0 for all but 512.
        gpus: VRAM in megabytes of each GPU to offer, written `24576,24576`; `none` offers none.
            None, as unset, offers what NVML finds.
        file_cache_mb: How much to keep of input files that no attempt uses, for the next that
            wants them, in megabytes; 0 keeps nothing.
        docker_host: The engine's address; "" for its usual socket.
        runtime: What runs the containers.
        dev_sources: Folder in which `gyoza dev` says which versions of ops see which sources of
            this machine; it sets this for its own worker.
        log_level: From debug to error.
    """

    model_config = SettingsConfigDict(env_prefix="GYOZA_WORKER_", extra="ignore")

    server_url: str = Field(default="http://localhost:5555", validation_alias="GYOZA_SERVER_URL")
    worker_key: str = Field(default="", validation_alias="GYOZA_WORKER_KEY")
    name: str = Field(default_factory=socket.gethostname)
    state_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_state_dir("gyoza")) / "worker"
    )
    replace: bool = False
    tags: Annotated[dict[str, str], NoDecode] = {}
    cpu: int = Field(default=0, ge=0)
    ram_mb: int = Field(default=0, ge=0)
    gpus: Annotated[list[int] | None, NoDecode] = Field(default=None, validation_alias="GYOZA_GPUS")
    file_cache_mb: int = Field(default=10_240, ge=0)
    docker_host: str = Field(default="", validation_alias="GYOZA_DOCKER_HOST")
    runtime: str = Field(default="docker", pattern="^docker$")
    dev_sources: Path | None = None
    log_level: str = Field(default="info", validation_alias="GYOZA_LOG_LEVEL")

    @field_validator("tags", mode="before")
    @classmethod
    def _read_tags(cls, value: Any) -> Any:
        return _pairs(value) if isinstance(value, str) else value

    @field_validator("gpus", mode="before")
    @classmethod
    def _read_gpus(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        if value.strip() == "none":
            return []
        sizes = [part.strip() for part in value.split(",") if part.strip()]
        if not all(size.isdecimal() and int(size) > 0 for size in sizes):
            raise ValueError(
                f"{value!r} is no comma list of megabytes such as 24576,24576, nor none"
            )
        return [int(size) for size in sizes]


def _pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        pair = part.split("=", 1)
        if len(pair) != _PAIR or not pair[0].strip():
            raise ValueError(f"{part!r} is no tag; write tags as key=value,key=value")
        found[pair[0].strip()] = pair[1].strip()
    return found
