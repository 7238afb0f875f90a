"""Print docs/reference/cli.md, made from the verbs themselves; `uv run just docs` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from gyoza.cli.context import GlobalOptions
from gyoza.cli.exit_codes import MEANINGS
from gyoza.cli.loading import load_verb
from gyoza.cli.verbs import GLOBAL_HELP, VERBS, Verb

HEAD = """\
# The command `gyoza`

Generated from the verbs by `scripts/cli_reference.py`; do not edit.

Data goes to standard output, everything else to standard error. For a pipe there is no colour, no
animation and no truncation: tables are tab-separated, and a followed run prints its outputs as JSON
and nothing else. A run id may be shortened to its beginning (8 characters or more); `@last` is the
run submitted last by this user.
"""


def page() -> str:
    """Return the whole page."""
    parts = [HEAD, _globals(), *(_verb(verb) for verb in VERBS), _exit_codes()]
    return "\n".join(parts)


def _globals() -> str:
    rows = [(f"`{name}`", text) for name, text in GLOBAL_HELP]
    return "## Options of every verb\n\n" + _table(("Option", "Meaning"), rows)


def _verb(verb: Verb) -> str:
    command = load_verb(verb)
    shared = {field.name for field in fields(GlobalOptions)}
    own = [param for param in command.params if param.name not in shared]
    usage = " ".join(["gyoza", verb.name, *(_metavar(p) for p in own if _is_argument(p))])
    rows = list(_rows(own))
    table = "\n" + _table(("Argument or option", "Meaning"), rows) if rows else ""
    return f"## `gyoza {verb.name}`\n\n{verb.summary}\n\n    {usage} [OPTIONS]\n{table}"


def _rows(params: list[Any]) -> Iterator[tuple[str, str]]:
    for param in params:
        name = _metavar(param) if _is_argument(param) else _option(param)
        yield f"`{name}`", (param.help or "").replace("|", "\\|")


def _is_argument(param: Any) -> bool:
    return param.param_type_name == "argument"


def _metavar(param: Any) -> str:
    name = param.metavar or param.name.upper()
    is_left_out = _is_argument(param) and not param.required and not name.startswith("[")
    return f"[{name}]" if is_left_out else name


def _option(param: Any) -> str:
    names = ", ".join([*sorted(param.opts, key=len), *param.secondary_opts])
    return names if param.is_flag else f"{names} {_metavar(param)}"


def _exit_codes() -> str:
    rows = [(str(int(code)), meaning) for code, meaning in MEANINGS.items()]
    return "## Exit codes\n\n" + _table(("Code", "Meaning"), rows)


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [head, ("---", "---"), *rows]
    return "\n".join(f"| {left} | {right} |" for left, right in lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
