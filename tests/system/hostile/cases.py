"""The table: what a hostile op does, and how its run must end.

Each script runs in the test image by `sh -c`. `CANARY` is a file on the host that the op wants read
or changed: its path is known to the op, and its content would be a valid output.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ANSWER = {"answer": {"type": "any"}}
FILE = {"answer": {"type": "file"}}
OK = """echo '{"answer": 1}' > /gyoza/out/tmp; mv /gyoza/out/tmp /gyoza/out/output.json"""


@dataclass(frozen=True)
class Case:
    """One hostile op.

    Attributes:
        reason: The run's reason; None when it completes.
        words: Must all occur in the error message that people see.
        within_s: The run must be over by then.
    """

    name: str
    script: str
    state: str = "FAILED"
    reason: str | None = None
    words: tuple[str, ...] = ()
    outputs: dict[str, Any] = field(default_factory=lambda: ANSWER)
    constraints: dict[str, Any] = field(default_factory=dict)
    execution: dict[str, Any] = field(default_factory=dict)
    within_s: float = 40.0


CASES = (
    Case("says nothing", "exit 0", reason="OUTPUT_MISSING", words=("output.json",)),
    Case(
        "writes broken json",
        """echo '{"answer": ' > /gyoza/out/output.json""",
        reason="OUTPUT_INVALID",
        words=("not JSON",),
    ),
    Case(
        "writes a huge output",
        """{ echo '{"answer": "'; head -c 3000000 /dev/zero | tr '\\0' x; echo '"}'; } """
        "> /gyoza/out/output.json",
        reason="OUTPUT_INVALID",
        words=("1048576", "out/files"),
    ),
    Case(
        "writes NaN",
        """echo '{"answer": NaN}' > /gyoza/out/output.json""",
        reason="OUTPUT_INVALID",
        words=("NaN",),
    ),
    Case(
        "writes deep json",
        """{ echo '{"answer": '; head -c 100 /dev/zero | tr '\\0' '['; """
        """head -c 100 /dev/zero | tr '\\0' ']'; echo '}'; } > /gyoza/out/output.json""",
        reason="OUTPUT_INVALID",
        words=("64",),
    ),
    Case(
        "writes an output it did not declare",
        """echo '{"answer": 1, "extra": 2}' > /gyoza/out/output.json""",
        reason="OUTPUT_INVALID",
        words=("extra",),
    ),
    Case(
        "links output.json to a file of the host",
        "ln -s CANARY /gyoza/out/output.json",
        reason="OUTPUT_INVALID",
        words=("output.json",),
    ),
    Case(
        "links events.jsonl to a file of the host",
        f"ln -s CANARY /gyoza/out/events.jsonl; {OK}",
        state="COMPLETED",
    ),
    Case(
        "links a declared file to a file of the host",
        """mkdir -p /gyoza/out/files; ln -s CANARY /gyoza/out/files/result;"""
        """echo '{"answer": "files/result"}' > /gyoza/out/output.json""",
        reason="OUTPUT_INVALID",
        words=("files/result",),
        outputs=FILE,
    ),
    Case(
        "names a file outside its folder",
        """echo '{"answer": "files/../../../CANARY"}' > /gyoza/out/output.json""",
        reason="OUTPUT_INVALID",
        outputs=FILE,
    ),
    Case(
        "links its files folder to a folder of the host",
        """ln -s CANARY_FOLDER /gyoza/out/files;"""
        """echo '{"answer": "files/canary.json"}' > /gyoza/out/output.json""",
        reason="OUTPUT_INVALID",
        outputs=FILE,
    ),
    Case(
        "puts a FIFO in place of the output",
        "mkfifo /gyoza/out/output.json",
        reason="OUTPUT_INVALID",
        words=("output.json",),
    ),
    Case(
        "puts a folder in place of the output",
        "mkdir /gyoza/out/output.json",
        reason="OUTPUT_INVALID",
        words=("output.json",),
    ),
    Case(
        "puts a FIFO in place of the events",
        f"mkfifo /gyoza/out/events.jsonl; {OK}",
        state="COMPLETED",
    ),
    Case(
        "claims to be completed and fails",
        """echo '{"type": "COMPLETED", "msg": "done"}' > /gyoza/out/events.jsonl;"""
        """echo '{"type": "completed"}' >> /gyoza/out/events.jsonl; sleep 0.3; exit 3""",
        reason="USER_ERROR",
        words=("3",),
    ),
    Case(
        "writes into its inputs",
        "echo x > /gyoza/in/input.json && exit 0; exit 9",
        reason="USER_ERROR",
        words=("9",),
    ),
    Case(
        "reports bad input",
        "exit 65",
        reason="BAD_INPUT",
    ),
    Case(
        "kills itself as the kernel would",
        "kill -9 $$",
        reason="USER_ERROR",
        words=("137",),
    ),
    Case(
        "ignores SIGTERM",
        "trap '' TERM; while true; do sleep 0.2; done",
        reason="RUN_TIMEOUT",
        execution={"timeouts": {"run_s": 1}, "grace_s": 1},
        within_s=20,
    ),
    Case(
        "eats memory",
        "tail /dev/zero",
        reason="OOM",
        constraints={"ram_mb": 32},
        words=("ram_mb",),
    ),
    Case(
        "is a fork bomb",
        "bomb() { bomb | bomb & }; bomb; exec sleep 60",
        reason="RUN_TIMEOUT",
        execution={"timeouts": {"run_s": 3}, "grace_s": 1},
        within_s=40,
    ),
    Case(
        "floods its logs",
        f"yes 'the quick brown fox jumps over the lazy dog' | head -c 200000000; {OK}",
        state="COMPLETED",
        within_s=120,
    ),
    Case(
        "writes a line of one gibibyte",
        f"head -c 1073741824 /dev/zero | tr '\\0' x; {OK}",
        state="COMPLETED",
        within_s=180,
    ),
    Case(
        "writes binary noise",
        f"head -c 300000 /dev/urandom; {OK}",
        state="COMPLETED",
    ),
    Case(
        "writes an event line without end",
        f"head -c 5000000 /dev/zero | tr '\\0' x > /gyoza/out/events.jsonl; sleep 0.5; {OK}",
        state="COMPLETED",
    ),
    Case(
        "floods its events",
        'i=0; while [ $i -lt 30000 ]; do echo \'{"type": "info", "msg": "x"}\'; i=$((i+1)); done'
        f" > /gyoza/out/events.jsonl; {OK}",
        state="COMPLETED",
    ),
    Case(
        "fills its folder",
        "cd /gyoza/out; mkdir -p files; dd if=/dev/zero of=files/big bs=1M count=200; sleep 60",
        reason="DISK_LIMIT",
        words=("32",),
        execution={"disk_mb": 32, "grace_s": 1},
    ),
    Case(
        "fills its scratch folder",
        "dd if=/dev/zero of=/tmp/big bs=1M count=4000 && exit 0; exit 9",
        reason="USER_ERROR",
        constraints={"ram_mb": 256},
    ),
    Case(
        "writes to its root file system",
        "echo x > /bin/evil && exit 0; exit 9",
        reason="USER_ERROR",
        words=("9",),
    ),
)
