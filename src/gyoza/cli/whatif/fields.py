"""Fields of load and fleet files: sizes and durations as people write them in gyoza.yml.

A size may leave out its last letter here (`24G`), as people say it of cards and memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from gyoza.models.fields import (
    Reader,
    Unexpected,
    flag,
    list_of,
    number,
    optional,
    text,
    text_mapping,
    whole,
)
from gyoza.op import quantities
from gyoza.project.file_fields import CONSTRAINTS, Field, Section

_SHORT_SIZE: Final = re.compile(r"\s*\d+(\.\d+)?\s*[kmgt]i?\s*", re.IGNORECASE)
# What a server reserves for a run that names none: its settings default_cpu and default_ram_mb.
DEFAULT_CPU: Final = 1
DEFAULT_RAM_MB: Final = 512
_MOST_URGENT: Final = 100


def size(value: object) -> int:
    """Read a size as megabytes.

    Raises:
        Unexpected: It is none.
    """
    try:
        if isinstance(value, str):
            return quantities.megabytes(_with_last_letter(value))
        if isinstance(value, int | float) and not isinstance(value, bool):
            return quantities.megabytes(value)
    except ValueError:
        pass
    raise Unexpected("a size such as 512MiB or 24GB")


def seconds(value: object) -> float:
    """Read a duration as seconds.

    Raises:
        Unexpected: It is none.
    """
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return quantities.seconds(value)
    except ValueError:
        pass
    raise Unexpected("a duration such as 90s, 10m or 1h30m")


def _with_last_letter(written: str) -> str:
    return written.strip() + "B" if _SHORT_SIZE.fullmatch(written) else written


def rate(value: object) -> float:
    """Read how many come an hour.

    Raises:
        Unexpected: It is no number above 0.
    """
    found: float = number(0)(value)
    if not found:
        raise Unexpected("a number above 0; leave the class out if nothing comes")
    return found


def priority(value: object) -> int:
    """Read a priority.

    Raises:
        Unexpected: It is no whole number from 0 to 100.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_URGENT:
        return value
    raise Unexpected(f"a whole number from 0 to {_MOST_URGENT}")


def plain(read: Reader, means: str, stands_for: str = "") -> Field:
    """Return a field; editors know nothing of these files."""
    return Field(read, {}, means, stands_for)


def _sized(name: str) -> Field:
    return replace(CONSTRAINTS.fields[name], read=optional(size))


_NEEDS: Final = {
    "cpu": CONSTRAINTS.fields["cpu"],
    "ram": _sized("ram"),
    "ram_mb": CONSTRAINTS.fields["ram_mb"],
    "vram": _sized("vram"),
    "vram_mb": CONSTRAINTS.fields["vram_mb"],
    "selectors": plain(text_mapping, "Worker tags that must match."),
    "owner": plain(optional(text), "Who asks for it."),
    "op": plain(optional(text), "Its op."),
    "priority": plain(priority, "0 to 100, higher first."),
    "preemptible": plain(flag, "Whether it may be stopped for a much more urgent run."),
}


def worker_section(build: Callable[[dict[str, Any]], Any]) -> Section:
    """Return the fields of workers that are alike."""
    fields = {
        "name": plain(text, "What people call them."),
        "count": plain(whole(1), "How many there are."),
        "cpu": plain(whole(1), "Whole CPUs of each."),
        "ram": plain(size, "RAM of each, such as 64GB.", "ram_mb"),
        "ram_mb": plain(whole(1), "RAM of each in MiB."),
        "gpus": plain(list_of(size), "Memory of each GPU, such as [24GB, 24GB]."),
        "tags": plain(text_mapping, "Tags of each."),
    }
    return Section("worker", fields, build, required=("cpu",))


def class_section(build: Callable[[dict[str, Any]], Any]) -> Section:
    """Return the fields of runs that are described."""
    fields = {
        "name": plain(text, "Names the class; the op's name if there is none."),
        "per_hour": plain(rate, "Runs an hour, on average."),
        "at_once": plain(whole(1), "Runs submitted together each time."),
        "takes": plain(seconds, "How long one takes, on average.", "mean_s"),
        "spread": plain(number(0), "Standard deviation of that as a part of it."),
        "from": plain(seconds, "When the first may come.", "from_s"),
        "until": plain(seconds, "When no more come.", "until_s"),
        **_NEEDS,
    }
    return Section("class of runs", fields, build, required=("per_hour", "takes"))


def run_section(build: Callable[[dict[str, Any]], Any], instant: Reader) -> Section:
    """Return the fields of one recorded run."""
    fields = {
        "submitted_at": plain(instant, "When it was submitted.", "submitted_s"),
        "submitted_s": plain(number(0), "The same in seconds from any beginning."),
        "duration_s": plain(number(0), "How long it ran."),
        **_NEEDS,
    }
    return Section("run", fields, build, required=("duration_s",))
