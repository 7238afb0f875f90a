"""The server as this machine sees it: reachable, ready, of the same version, and its workers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, cast

from gyoza.cli.checkup.asking import Answered, Unanswered, ask
from gyoza.cli.checkup.findings import Finding, Group

if TYPE_CHECKING:
    from gyoza.cli.context import Context

_GROUP: Final = Group("server")
_OK: Final = 200
_REFUSED: Final = (401, 403)
_SKEW_S: Final = 2.0
_START: Final = "start one with `gyoza dev` or `gyoza server start`, or name it with --url"


def check_server(context: Context) -> list[Finding]:
    """Ask the server; where it does not answer, nothing more is asked."""
    from gyoza.cli.failures import CliError

    try:
        settings = context.settings()
    except CliError:
        return [_GROUP.skipped("reachable", "its address makes no sense")]
    url = settings.base_url
    before = context.now()
    try:
        health = ask(f"{url}/healthz")
    except Unanswered as error:
        return [_GROUP.fail("reachable", f"{url}: {error}", _START)]
    asked = before + (context.now() - before) / 2
    found = _judge_health(url, health)
    if health.status != _OK or "version" not in health.document:
        return found
    headers = {"X-API-Key": settings.api_key} if settings.api_key else {}
    return [
        *found,
        judge_clock(health.headers.get("date"), asked),
        *_asked_further(url, headers, str(health.document["version"])),
    ]


def _asked_further(url: str, headers: dict[str, str], version: str) -> list[Finding]:
    try:
        readiness = judge_readiness(ask(f"{url}/readyz"))
        workers = ask(f"{url}/api/v1/workers", headers)
    except Unanswered as error:
        return [_GROUP.fail("ready", f"{url} stopped answering: {error}", "look at its log")]
    if workers.status in _REFUSED:
        seen = f"the server answers {workers.status}: {workers.document.get('detail', 'no key')}"
        remedy = "set GYOZA_API_KEY to a key that the server knows"
        return [readiness, _GROUP.fail("key", seen, remedy)]
    items = cast("list[dict[str, Any]]", workers.document.get("items") or [])
    return [readiness, *judge_workers(items, version)]


def _judge_health(url: str, health: Answered) -> list[Finding]:
    from gyoza import __version__

    version = health.document.get("version")
    if health.status != _OK or version is None:
        seen = f"{url} answers HTTP {health.status}, and not as a gyoza server does"
        return [_GROUP.fail("reachable", seen, "another program has this address; name the right")]
    found = [_GROUP.ok("reachable", url)]
    if version == __version__:
        return [*found, _GROUP.ok("version", f"{version}, as this command")]
    seen = f"the server is {version}, this command {__version__}"
    return [*found, _GROUP.warn("version", seen, "install the same version on both sides")]


def judge_clock(date: str | None, now: datetime) -> Finding:
    """Judge the clocks of both sides.

    Args:
        date: The `Date` of an answer (RFC 9110 section 6.6.1: whole seconds, cut off).
        now: By the clock here, in the middle of asking.
    """
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return _GROUP.skipped("clock", "the server sends no date")
    # On average half a second of the second that is cut off is over.
    ahead_s = (theirs - now).total_seconds() + 0.5
    if abs(ahead_s) <= _SKEW_S:
        return _GROUP.ok("clock", f"within {_SKEW_S:g} s of the one here")
    side = "ahead of" if ahead_s > 0 else "behind"
    seen = f"the server's is {abs(ahead_s):.0f} s {side} the one here"
    return _GROUP.warn("clock", seen, "let both be set by NTP: `timedatectl set-ntp true`")


def judge_readiness(answer: Answered) -> Finding:
    """Judge what `/readyz` says."""
    checks = cast("dict[str, Any]", answer.document.get("checks") or {})
    notes = cast("list[Any]", answer.document.get("notes") or [])
    if answer.status == _OK:
        words = "; ".join(map(str, notes))
        if words:
            return _GROUP.warn("ready", words, "nothing, if you know why; the server's log has it")
        return _GROUP.ok("ready", ", ".join(checks) or "yes")
    broken = [f"{name}: {text}" for name, text in checks.items() if text != "ok"]
    seen = "; ".join(broken) or f"HTTP {answer.status}"
    return _GROUP.fail("ready", seen, "look at the server's log, and at the disk of its data")


def judge_workers(workers: Sequence[dict[str, Any]], version: str) -> list[Finding]:
    """Judge the workers that a server knows.

    Args:
        workers: As `GET /workers` lists them.
        version: Of the server.
    """
    start = "`gyoza worker start` on a machine with a container engine"
    if not workers:
        return [_GROUP.warn("workers", "there are none: runs will wait", start)]
    found = [_judge_worker(worker, version) for worker in workers]
    found += [finding for worker in workers for finding in _judge_gpus(worker)]
    if not any(worker.get("state") == "READY" for worker in workers):
        return [*found, _GROUP.warn("workers", "none is READY: runs will wait", start)]
    return found


def _judge_worker(worker: dict[str, Any], version: str) -> Finding:
    name, state = f"worker {worker.get('name')}", str(worker.get("state"))
    seen = f"{state}: {worker['detail']}" if worker.get("detail") else state
    if state == "READY" and worker.get("version") != version:
        seen = f"READY, version {worker.get('version')} with a server of {version}"
        return _GROUP.warn(name, seen, "install the server's version there, and start it again")
    remedy = _REMEDIES.get(state)
    return _GROUP.ok(name, seen) if remedy is None else _GROUP.warn(name, seen, remedy)


def _judge_gpus(worker: dict[str, Any]) -> list[Finding]:
    name = worker.get("name")
    capacity = cast("dict[str, Any]", worker.get("capacity") or {})
    gpus = cast("list[dict[str, Any]]", capacity.get("gpus") or [])
    return [
        _GROUP.warn(
            f"gpu {gpu.get('index', 0)} of {name}",
            str(gpu["problem"]),
            f"look at the card; then `gyoza worker resume {name} --gpu {gpu.get('uuid')}`",
        )
        for gpu in gpus
        if gpu.get("problem")
    ]


_REMEDIES: Final = {
    "DRAINING": "it takes no new runs; `gyoza worker start` there when it has ended",
    "UNHEALTHY": "`gyoza doctor` there says what its engine lacks",
    "SILENT": "look whether it runs and reaches the server; its runs are given away after 60 s",
    "LOST": "start it again, or remove it when the machine is gone for good",
}
