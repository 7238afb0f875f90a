"""The server's settings: what the environment may say, and every number that has a reason.

Read once, in `main.py`, and passed down. Names and defaults of the environment variables are those
of docs/architecture/contracts.md. Nothing else on the server reads the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _default_data_dir() -> Path:
    return platformdirs.user_data_path("gyoza") / "server"


class Settings(BaseSettings):
    """What a server is told from outside; each field is also `GYOZA_<FIELD>` in the environment.

    Attributes:
        host: Address to listen on; loopback, because without keys nobody else may come in.
        port: TCP port; 0 takes a free one.
        data_dir: Folder of the database and the artifacts.
        log_level: debug, info, warning or error.
        allowed_hosts: Host names beside localhost that requests may be addressed to (a comma list
            in the environment); others are refused, so that a web page cannot reach the server by
            rebinding a name.
        max_body_bytes: Longest JSON body; four times the largest output document (1 MiB), so that
            one report can carry several results.
        max_artifact_bytes: Longest artifact; 5 GiB is where object stores want multipart uploads.
        artifact_store: Where artifacts are: `file:///folder`, `s3://bucket/prefix`, `gs://...`,
            `az://...` (the last three with the extra `objects`); None is a folder in `data_dir`.
        artifact_grace_hours: Hours that a file which no run names is kept after somebody sent it
            or asked for it: a day, so that what is uploaded today can be submitted today.
        upload_hours: Hours that what arrived of a broken upload is kept for going on.
        sweep_interval_s: Seconds between looks for files that no row names (a crash between the
            two leaves such); lists the whole store.
        api_key: What callers send in X-API-Key; None asks for none and binds loopback only.
        worker_key: What workers send; None asks for none.
        default_cpu: CPUs reserved for a run that names none, written down at submit.
        default_ram_mb: Megabytes of RAM reserved for a run that names none: a Python process with
            a few libraries fits, and a forgotten constraint does not block a box.
        heartbeat_interval_s: Seconds between a worker's heartbeats; a third of `silent_after_s`,
            so that two may be lost.
        silent_after_s: A worker not heard of for so many seconds gets no new work: three missed
            heartbeats.
        lease_s: Seconds after the last heartbeat until a worker's attempts count as lost; outlives
            a 40 s storage hiccup with room for retries.
        hand_off_s: Seconds until the attempts of a worker that left its containers to a successor
            count as lost; long enough to install a new version and start it.
        acknowledge_within_s: An assignment that its worker has not claimed after so many seconds
            goes back to PENDING; longer than a long poll (25 s), so a connected worker never
            meets it.
        pulse_interval_s: Seconds between two notes in the database that the control plane lives; a
            third of `amnesty_after_gap_s`, so that two may be late.
        amnesty_after_gap_s: A gap in those notes of more than so many seconds, with or without a
            restart, means that workers could not reach the server either.
        amnesty_s: After such a gap no lease expires for so many seconds: a full lease and half of
            one for the reconnects.
        brake_from_workers: When more than half of the workers, and at least so many, fall silent at
            once, no lease expires: the fault is more likely between them and the server. Two of
            three boxes that are switched off in the evening are no such case.
        brake_s: Seconds that the brake is held; long enough to wake somebody.
        limbo_s: A container whose run the database does not know is left alone for so many seconds:
            time to notice that the database was restored from a backup, or is the wrong one.
        rescue_interval_s: Seconds between looks for overdue and lost runs; the unit in which
            timeouts are precise.
        prune_interval_s: Seconds between prunings.
        prune_batch: Runs removed in one transaction; keeps the writer free for live traffic.
        retention_days: Days that an ended run is kept, with its events, logs and attempts.
        idempotency_hours: Hours that the answer under an Idempotency-Key is kept.
        plan_window: Pending runs that one plan places at most; the rest wait for the next plan.
        plan_lanes: Lanes (runs of one priority, shape and owner) whose heads one plan looks at,
            high priorities first; bounds what a queue of nothing but different runs costs.
        ageing_s: Seconds of waiting that count as one point of priority, up to a hundred: an hour
            is six points, so urgent work stays urgent and a night outranks the day's routine.
        fair_share_half_life_s: Seconds after which what an owner had of the fleet counts half as
            much against it, when owners want the same.
        owner_max_queued: Runs that an owner without a quota of its own may have waiting; None sets
            no limit.
        owner_max_active: Attempts that such an owner may have at work at once; likewise.
        machinery_attempts: Uncharged attempts (the machinery failed, not the user's code) that one
            run may have; bounds what a run that kills its workers can do.
        machinery_backoff_s: Seconds before the first uncharged retry; it doubles with each.
        max_backoff_s: Upper bound of every backoff in seconds; six minutes, as Kubernetes Jobs.
        page_size: Items of a page when the caller asks for no number.
        max_page_size: Most items of a page.
    """

    model_config = SettingsConfigDict(
        env_prefix="GYOZA_", extra="ignore", frozen=True, env_ignore_empty=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=5555, ge=0, le=65535)
    data_dir: Path = Field(default_factory=_default_data_dir)
    log_level: str = "info"
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    max_body_bytes: int = Field(default=4 * 1024 * 1024, gt=0)
    max_artifact_bytes: int = Field(default=5 * 1024 * 1024 * 1024, gt=0)
    artifact_store: str | None = None
    artifact_grace_hours: float = Field(default=24.0, gt=0)
    upload_hours: float = Field(default=24.0, gt=0)
    sweep_interval_s: float = Field(default=6 * 3600.0, gt=0)
    api_key: SecretStr | None = None
    worker_key: SecretStr | None = None

    default_cpu: int = Field(default=1, ge=0)
    default_ram_mb: int = Field(default=512, ge=0)

    heartbeat_interval_s: float = Field(default=5.0, gt=0)
    silent_after_s: float = Field(default=15.0, gt=0)
    lease_s: float = Field(default=60.0, gt=0)
    hand_off_s: float = Field(default=300.0, gt=0)
    acknowledge_within_s: float = Field(default=30.0, gt=0)
    pulse_interval_s: float = Field(default=5.0, gt=0)
    amnesty_after_gap_s: float = Field(default=15.0, gt=0)
    amnesty_s: float = Field(default=90.0, ge=0)
    brake_from_workers: int = Field(default=3, ge=1)
    brake_s: float = Field(default=300.0, ge=0)
    limbo_s: float = Field(default=600.0, ge=0)
    rescue_interval_s: float = Field(default=1.0, gt=0)
    prune_interval_s: float = Field(default=60.0, gt=0)
    prune_batch: int = Field(default=200, gt=0)
    retention_days: float = Field(default=30.0, gt=0)
    idempotency_hours: float = Field(default=24.0, gt=0)

    plan_window: int = Field(default=10_000, gt=0)
    plan_lanes: int = Field(default=2_000, gt=0)
    ageing_s: float = Field(default=600.0, gt=0)
    fair_share_half_life_s: float = Field(default=3600.0, gt=0)
    owner_max_queued: int | None = Field(default=None, ge=0)
    owner_max_active: int | None = Field(default=None, ge=0)
    machinery_attempts: int = Field(default=5, ge=0)
    machinery_backoff_s: float = Field(default=10.0, ge=0)
    max_backoff_s: float = Field(default=360.0, ge=0)
    page_size: int = Field(default=50, gt=0)
    max_page_size: int = Field(default=200, gt=0)

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_commas(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        levels = ("debug", "info", "warning", "error")
        if value.lower() not in levels:
            raise ValueError(f"{value!r} is no log level; expected one of {', '.join(levels)}")
        return value.lower()

    @property
    def database_path(self) -> Path:
        """The SQLite file."""
        return self.data_dir / "gyoza.db"

    @property
    def artifacts_dir(self) -> Path:
        """The folder of stored files."""
        return self.data_dir / "artifacts"
