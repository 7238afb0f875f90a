"""The folder of one attempt on this machine: where everything is, and how it is made.

    <state dir>/runs/<run id>-<attempt>-<fence>/
        in/      ours; 0755, files 0644; the container sees it read-only
        out/     the container user's; 0700; hostile from the start of the container on
        hosts    /etc/hosts of a container without a network

The parent folder is closed to everyone else on the machine.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gyoza.op import protocol
from gyoza.wire import strict_json

RUNS: Final = "runs"
CONTAINER_PREFIX: Final = "gyoza-"
"""A container is named as its folder is, with this before it."""
_HOSTS: Final = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """Paths of one attempt's folder."""

    path: Path

    @classmethod
    def of(cls, state_dir: Path, run_id: str, attempt: int, fence: int) -> WorkFolder:
        """The folder of an attempt, whether or not it is there."""
        return cls(state_dir / RUNS / f"{run_id}-{attempt}-{fence}")

    @property
    def inner(self) -> Path:
        """What the container sees as `in/`."""
        return self.path / protocol.IN

    @property
    def outer(self) -> Path:
        """What the container sees as `out/`."""
        return self.path / protocol.OUT

    @property
    def hosts(self) -> Path:
        """What a container without a network sees as `/etc/hosts`."""
        return self.path / "hosts"

    def make(self, uid: int, gid: int) -> None:
        """Make the folders; may be repeated.

        Args:
            uid: Whom `out/` is to belong to; changed only if we may change it.
            gid: Its group.
        """
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        self.path.mkdir(mode=0o700, exist_ok=True)
        self.inner.mkdir(exist_ok=True)
        self.inner.chmod(0o755)
        self.outer.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(self.outer, uid, gid, follow_symlinks=False)
        _write(self.hosts, _HOSTS.encode())

    def write_in(self, name: str, document: dict[str, Any]) -> None:
        """Put a JSON document into `in/`, by rename: the op sees all of it or nothing."""
        hidden = self.inner / f".{name}"
        _write(hidden, strict_json.dumps(document))
        hidden.rename(self.inner / name)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o644)
