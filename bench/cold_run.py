"""What a cold run costs through gyoza, against the same container through the raw Engine API.

Both sides run `/bin/true` in the same image with the same options: the raw side's request is made
from what the engine itself says of a container that gyoza ran. One pair is a run through gyoza
(submit over HTTP until the client has the COMPLETED run) and create, start, wait, remove through
one kept connection, in an order that alternates. Usage: just bench cold_run [pairs, default 40]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.statistics_of_pairs import describe, ratio_of_medians
from tests.support.engine import Engine, busybox_image, require_engine
from tests.support.stack import Stack
from tests.system.hostile.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Callable

    from gyoza.client import GyozaClient

WARM_UP = 4
COPIED = (
    *("CapAdd", "CapDrop", "CgroupnsMode", "Init", "IpcMode", "LogConfig", "Memory"),
    *("MemorySwap", "NanoCpus", "NetworkMode", "OomScoreAdj", "PidsLimit", "Privileged"),
    *("ReadonlyRootfs", "RestartPolicy", "SecurityOpt", "ShmSize", "Tmpfs", "Ulimits"),
)


def main() -> None:
    """Measure and print."""
    pairs_wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    engine = require_engine()
    image = busybox_image(engine)
    with (
        tempfile.TemporaryDirectory(prefix="gyoza-bench-") as folder,
        Stack(Path(folder)) as stack,
        stack.client() as client,
    ):
        raw = RawRun(engine, _body_like_gyozas(client, image, Path(folder)))
        gyoza = partial(_run, client, image, ["/bin/true"])
        pairs = _measure(gyoza, raw, pairs_wanted, settle=partial(_until_cleaned_up, engine))
        parts = _parts_of_a_run(client)
    _print(pairs, raw, parts)
    engine.close()


class RawRun:
    """Create, start, wait, remove: the least that any system on this engine must do."""

    def __init__(self, engine: Engine, body: dict[str, Any]) -> None:
        self._engine, self._body = engine, body
        self.without_remove_ms: list[float] = []
        self.create_ms: list[float] = []
        self.start_ms: list[float] = []

    def __call__(self) -> None:
        """Carry out one whole life of a container."""
        begin = time.perf_counter()
        container = self._expect(201, "POST", "/containers/create", self._body)["Id"]
        created = time.perf_counter()
        self._expect(204, "POST", f"/containers/{container}/start")
        started = time.perf_counter()
        assert self._expect(200, "POST", f"/containers/{container}/wait")["StatusCode"] == 0
        ended = time.perf_counter()
        self.create_ms.append((created - begin) * 1000)
        self.start_ms.append((started - created) * 1000)
        self.without_remove_ms.append((ended - begin) * 1000)
        self._expect(204, "DELETE", f"/containers/{container}")

    def _expect(self, status: int, method: str, path: str, body: Any = None) -> Any:
        found, answer = self._engine.call(method, path, body)
        assert found == status, f"{method} {path}: {found} {answer}"
        return answer


def _run(client: GyozaClient, image: str, command: list[str]) -> str:
    ended = client.run_image(image, execution={"command": command}).wait(timeout=60)
    assert ended.state == "COMPLETED", f"{ended.state}: {ended.execution_summary.error_message}"
    return ended.id


def _body_like_gyozas(client: GyozaClient, image: str, folder: Path) -> dict[str, Any]:
    with Observer() as observer:
        run_id = _run(client, image, ["/bin/sleep", "0.5"])
        found = observer.inspections[run_id]
    host = {name: found["HostConfig"].get(name) for name in COPIED}
    host["Binds"] = [_own_bind(mount, folder / "raw") for mount in found["Mounts"]]
    config = {name: found["Config"].get(name) for name in ("Env", "Image", "User")}
    disabled = found["Config"].get("NetworkDisabled", False)
    return {**config, "Cmd": ["/bin/true"], "NetworkDisabled": disabled, "HostConfig": host}


def _own_bind(mount: dict[str, Any], folder: Path) -> str:
    source = folder / mount["Destination"].replace("/", "_")
    if Path(mount["Source"]).is_dir() or mount["Destination"].startswith("/gyoza"):
        source.mkdir(parents=True)
    else:
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text("127.0.0.1 localhost\n")
    return f"{source}:{mount['Destination']}:{'rw' if mount['RW'] else 'ro'}"


def _until_cleaned_up(engine: Engine) -> None:
    """Gyoza removes a container after the run is over: not at the cost of what is timed next."""
    while engine.managed():
        time.sleep(0.01)


def _measure(
    gyoza: Callable[[], object],
    raw: Callable[[], object],
    count: int,
    *,
    settle: Callable[[], None],
) -> list[tuple[float, float]]:
    for _ in range(WARM_UP):
        gyoza()
        raw()
    pairs: list[tuple[float, float]] = []
    for index in range(count):
        settle()
        if index % 2:
            second, first = _time(raw), _time(gyoza)
        else:
            first = _time(gyoza)
            settle()
            second = _time(raw)
        pairs.append((first, second))
    return pairs


def _time(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return (time.perf_counter() - begin) * 1000


def _parts_of_a_run(client: GyozaClient) -> dict[str, float]:
    """Where the time of gyoza's runs went, from their own timelines, as medians in ms."""
    parts: dict[str, list[float]] = {}
    for run in islice(client.list_runs(state="COMPLETED"), 20):
        last = run.created_at
        for event in client.run_events(run.id):
            moment = datetime.fromisoformat(event.t)
            parts.setdefault(event.type, []).append((moment - last).total_seconds() * 1000)
            last = moment
    return {label: statistics.median(values) for label, values in parts.items()}


def _print(pairs: list[tuple[float, float]], raw: RawRun, parts: dict[str, float]) -> None:
    print(describe("gyoza, submit to COMPLETED", [first for first, _ in pairs]))
    print(describe("raw, create start wait remove", [second for _, second in pairs]))
    print(describe("raw, without the remove", raw.without_remove_ms[WARM_UP:]))
    create_ms, start_ms = statistics.median(raw.create_ms), statistics.median(raw.start_ms)
    print(f"raw's timeline: create {create_ms:.1f} ms, start {start_ms:.1f} ms")
    print("gyoza's timeline:", ", ".join(f"{name} after {ms:.1f} ms" for name, ms in parts.items()))
    print(f"ratio gyoza / raw: {ratio_of_medians(pairs)}")


if __name__ == "__main__":
    main()
