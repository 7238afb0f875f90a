"""What the containers of the suite do: once as a command for a real shell, once as a script."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gyoza.worker.runtime.fake_script import Say, Script

FOR_EVER_S: Final = 3600.0


@dataclass(frozen=True)
class Behaviour:
    """The same deed for every runtime."""

    command: tuple[str, ...]
    script: Script


def _shell(text: str, script: Script) -> Behaviour:
    return Behaviour(("sh", "-c", text), script)


BEHAVIOURS: Final[dict[str, Behaviour]] = {
    "succeeds": _shell("exit 0", Script()),
    "fails with 7": _shell("exit 7", Script(exit_code=7)),
    "speaks": _shell(
        "echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three; sleep 0.1",
        Script(
            steps=(Say(b"one\n"), Say(b"two\n", "stderr", 0.01), Say(b"three\n", after_s=0.01)),
            duration_s=0.01,
        ),
    ),
    "ends without a line end": _shell(
        "echo first; sleep 0.1; i=0; while [ $i -lt 5000 ]; do printf 0123456789; i=$((i+1)); done",
        Script(steps=(Say(b"first\n"), Say(b"0123456789" * 5000, after_s=0.01))),
    ),
    "runs until stopped": _shell(
        "echo ready; exec sleep 3600", Script(steps=(Say(b"ready\n"),), duration_s=FOR_EVER_S)
    ),
    "ignores SIGTERM": _shell(
        "trap '' TERM; echo ready; sleep 3600",
        Script(steps=(Say(b"ready\n"),), duration_s=FOR_EVER_S, ignores_sigterm=True),
    ),
    "eats memory": _shell("tail /dev/zero", Script(oom=True)),
    "names a missing program": Behaviour(
        ("no-such-program",),
        Script(steps=(Say(b"exec no-such-program failed\n", "stderr"),), exit_code=127),
    ),
    "is refused at start": _shell(
        "exit 0", Script(fails_to_start="unable to find user no-such-user")
    ),
    "writes a file": _shell(
        "echo hello > /gyoza/out/greeting", Script(writes={"greeting": b"hello\n"})
    ),
}
