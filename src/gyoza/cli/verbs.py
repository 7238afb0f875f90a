"""Every verb of the command, and the help page of the whole: a table, nothing loaded.

Importing Typer takes several times as long as starting Python, so the page that people see most
often is made from this table; a test compares it with what the verbs say themselves.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Verb(NamedTuple):
    """One verb.

    Attributes:
        words: What is typed after `gyoza`.
        panel: The heading it stands under.
        summary: One line; the first line of the verb's own help.
    """

    words: tuple[str, ...]
    panel: str
    summary: str

    @property
    def module(self) -> str:
        """The module that holds it."""
        return "gyoza.cli.commands." + ".".join(self.words)

    @property
    def name(self) -> str:
        """The words as typed."""
        return " ".join(self.words)


DEVELOP: Final = "Develop"
RUN: Final = "Run"
OPERATE: Final = "Operate"

VERBS: Final = (
    Verb(
        ("dev",),
        DEVELOP,
        "Start a server and a worker on this machine, and deploy projects as they are saved.",
    ),
    Verb(("init",), DEVELOP, "Write a new op project."),
    Verb(("build",), DEVELOP, "Build an op's image, with its spec in a label."),
    Verb(("check",), DEVELOP, "Check a project, or try whether an image keeps the protocol."),
    Verb(
        ("deploy",),
        DEVELOP,
        "Build an op's image if need be, and register it as a version.",
    ),
    Verb(("run",), RUN, "Run an op, or an image, and follow it to its end."),
    Verb(("ps",), RUN, "List runs: those that are not over, or all."),
    Verb(("show",), RUN, "Show everything about a run."),
    Verb(("explain",), RUN, "Say why a run waits and what would let it start now, or how it went."),
    Verb(("logs",), RUN, "Print a run's output."),
    Verb(("files",), RUN, "List the files a run left, or bring them here."),
    Verb(("cancel",), RUN, "Ask for runs to end, by their ids or all that match."),
    Verb(("priority",), RUN, "Give a waiting run another priority."),
    Verb(("retry",), RUN, "Give a failed or cancelled run a new attempt, or all that match."),
    Verb(("doctor",), OPERATE, "Look for what is wrong, each with its remedy."),
    Verb(("simulate",), OPERATE, "Replay a load on a fleet: what if there were two more GPUs?"),
    Verb(("op", "list"), OPERATE, "List the registered ops."),
    Verb(("op", "show"), OPERATE, "Show an op: its image, inputs, outputs and limits."),
    Verb(("op", "versions"), OPERATE, "List the versions of an op."),
    Verb(("op", "rollback"), OPERATE, "Make an earlier version of an op the current one."),
    Verb(("op", "pause"), OPERATE, "Start no more runs of ops; what is at work goes on."),
    Verb(("op", "resume"), OPERATE, "Start runs of paused ops again."),
    Verb(("op", "limit"), OPERATE, "Set how many runs of an op may be at work at once."),
    Verb(("op", "schema"), OPERATE, "Print the JSON Schema of an op's inputs and outputs."),
    Verb(("worker", "list"), OPERATE, "List the workers and what they have free."),
    Verb(
        ("worker", "show"),
        OPERATE,
        "Show a worker: what it has, what is taken, and what is wrong with its GPUs.",
    ),
    Verb(("worker", "start"), OPERATE, "Run a worker on this machine."),
    Verb(("worker", "drain"), OPERATE, "Give workers no new work; what they hold goes on."),
    Verb(("worker", "resume"), OPERATE, "Give drained workers work again, or a GPU in quarantine."),
    Verb(("worker", "remove"), OPERATE, "Forget workers that hold nothing, or that are lost."),
    Verb(("quota", "list"), OPERATE, "List what owners may have, and have."),
    Verb(("quota", "set"), OPERATE, "Limit what an owner may have waiting and at work."),
    Verb(("quota", "remove"), OPERATE, "Leave owners to the server's defaults."),
    Verb(("server", "start"), OPERATE, "Run a server on this machine."),
)

NOUNS: Final = {
    "op": "What can be run.",
    "worker": "Where it runs.",
    "quota": "What owners may have.",
    "server": "What queues, schedules and records.",
}

GLOBAL_HELP: Final = (
    ("--url URL", "Server; else GYOZA_SERVER_URL, a running `gyoza dev`, localhost:5555."),
    ("--json", "JSON on standard output, with stable keys."),
    ("-q, --quiet", "Ids only; no hints."),
    ("--no-color", "No colour; so does NO_COLOR."),
    ("--timeout SECONDS", "Wait at most so long for the server, or for a followed run."),
    ("--debug", "Show the traceback of an error."),
    ("-V, --version", "Print the version."),
    ("-h, --help", "Print this page; after a verb, that verb's."),
)

EXAMPLES: Final = (
    "gyoza dev",
    "gyoza deploy examples/wordcount",
    "gyoza run wordcount -i text=@book.txt",
)


_HEAD: Final = (
    "Usage: gyoza [OPTIONS] VERB [ARGS]...\n\nRun functions as containers on your own machines."
)


def root_help() -> str:
    """Return the help page of the whole command."""
    rows = [(verb.panel, verb.name, verb.summary) for verb in VERBS]
    panels = list(dict.fromkeys(panel for panel, _, _ in rows))
    parts = [
        _HEAD,
        _section("Examples", [(line, "") for line in EXAMPLES]),
        *(_section(p, [(name, text) for panel, name, text in rows if panel == p]) for p in panels),
        _section("Options, before or after the verb", list(GLOBAL_HELP)),
        "Exit codes and settings: docs/reference/cli.md",
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    lines = [f"  {name:<{width}}  {text}".rstrip() for name, text in rows]
    return "\n".join([f"{title}:", *lines])
