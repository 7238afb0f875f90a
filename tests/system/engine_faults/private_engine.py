"""A Docker Engine of the tests' own, to be killed, frozen and started again.

Beside the machine's engine: own folders, own socket, and a network namespace of its own, in which
it can neither see nor change the other's bridge. containerd runs apart, as it does in production.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.support.engine import Engine

READY_S = 30.0


class PrivateEngine:
    """One engine over one folder; containers outlive it, as the kernel has it.

    Args:
        folder: For all it keeps.
        live_restore: Containers go on while the daemon is away.
    """

    def __init__(self, folder: Path, *, live_restore: bool = False) -> None:
        self._folder = folder
        self._live_restore = live_restore
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.socket = str(folder / "docker.sock")

    def __enter__(self) -> Self:
        self._spawn(
            "containerd",
            *("--root", str(self._folder / "c-root"), "--state", str(self._folder / "c-state")),
            *("--address", self._containerd),
        )
        self._until(Path(self._containerd).exists)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError, AssertionError):
            self._remove_everything()
        for name in ("dockerd", "containerd"):
            self._end(name, signal.SIGTERM)
        self._unmount()

    def api(self) -> Engine:
        """A connection of its own; frozen and dead engines break the one they had."""
        return Engine(self.socket)

    def start(self) -> None:
        """Start the daemon, and wait until it answers."""
        # What a killed one left would keep the next from starting.
        (self._folder / "docker.pid").unlink(missing_ok=True)
        self._spawn(
            *("unshare", "--net", "dockerd", "--containerd", self._containerd),
            *("--data-root", str(self._folder / "d-root")),
            *("--exec-root", str(self._folder / "d-exec")),
            *("--host", f"unix://{self.socket}", "--pidfile", str(self._folder / "docker.pid")),
            *("--bridge=none", "--iptables=false", "--ip-forward=false"),
            *(("--live-restore",) if self._live_restore else ()),
            name="dockerd",
        )
        self._until(self._answers)

    def kill(self) -> None:
        """SIGKILL to the daemon, not to containerd."""
        self._end("dockerd", signal.SIGKILL)

    def stop(self) -> None:
        """An orderly end of the daemon."""
        self._end("dockerd", signal.SIGTERM)

    def freeze(self) -> None:
        """The daemon takes connections and never answers."""
        self._processes["dockerd"].send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it was."""
        self._processes["dockerd"].send_signal(signal.SIGCONT)

    @property
    def _containerd(self) -> str:
        return str(self._folder / "containerd.sock")

    def _spawn(self, *command: str, name: str = "") -> None:
        with (self._folder / f"{name or command[0]}.log").open("ab") as output:
            self._processes[name or command[0]] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _end(self, name: str, how: signal.Signals) -> None:
        process = self._processes.pop(name, None)
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(how)
            process.wait(30)

    def _answers(self) -> bool:
        engine = self.api()
        try:
            return engine.call("GET", "/version")[0] == 200
        except OSError:
            return False
        finally:
            engine.close()

    def _until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + READY_S
        while not condition():
            logs = {path.name: path.read_text()[-1500:] for path in self._folder.glob("*.log")}
            assert time.monotonic() < end, f"the private engine does not start: {logs}"
            time.sleep(0.02)

    def _remove_everything(self) -> None:
        engine = self.api()
        for each in engine.call("GET", "/containers/json?all=1")[1]:
            engine.call("DELETE", f"/containers/{each['Id']}?force=1&v=1")
        engine.close()

    def _unmount(self) -> None:
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted(mounts, reverse=True):
            if mount.startswith(f"{self._folder}/"):
                subprocess.run(["umount", "--lazy", mount], check=False)
