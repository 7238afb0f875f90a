"""What the command's exit code says; the one list of them."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes, stable between versions."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    RUN_FAILED = 3
    NOT_ALLOWED = 4
    NOT_FOUND = 5
    CONFLICT = 6
    INVALID = 7
    UNAVAILABLE = 8
    RUN_CANCELLED = 9
    RUN_TIMED_OUT = 10
    WOULD_CHANGE = 20
    CLIENT_TIMEOUT = 124
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS = {
    ExitCode.OK: "success; for `run`: the run completed",
    ExitCode.UNEXPECTED: "unexpected error in gyoza; for `doctor`: something fails",
    ExitCode.USAGE: "wrong usage",
    ExitCode.RUN_FAILED: "the run, or at least one run, failed",
    ExitCode.NOT_ALLOWED: "no key, a wrong key, or not allowed",
    ExitCode.NOT_FOUND: "no such thing",
    ExitCode.CONFLICT: "its state does not take it, or it exists with other content",
    ExitCode.INVALID: "inputs or project file invalid",
    ExitCode.UNAVAILABLE: "server or container engine not reachable",
    ExitCode.RUN_CANCELLED: "the run was cancelled",
    ExitCode.RUN_TIMED_OUT: "the run exceeded its own time limit",
    ExitCode.WOULD_CHANGE: "`deploy --dry-run --exit-code`: something would change",
    ExitCode.CLIENT_TIMEOUT: "--timeout expired; the run goes on",
    ExitCode.INTERRUPTED: "interrupted; a followed run goes on",
    ExitCode.TERMINATED: "terminated",
}
