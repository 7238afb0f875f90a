"""How an explanation reads in a terminal: first the sentence, then what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

from gyoza.cli.output import Output, age, counted, duration
from gyoza.cli.waiting_views import RULES

Told: TypeAlias = Mapping[str, Any]
_AFTER: Final = {"retried": "tried again: ", "end": "the end: ", "by_hand": "by hand: "}


def show(told: Told, output: Output, now: datetime) -> None:
    """Write an explanation as the server gave it.

    Args:
        told: What `GET /runs/{id}/explain` answers.
        output: Where to.
        now: The moment; times are told as how far away they are.
    """
    never = told.get("verdict") == "NEVER"
    rule = told.get("rule", {}).get("name")
    state = output.state(str(told["state"]), "never" if never else RULES.get(rule), never=never)
    output.data(f"{told['run_id']}  {state}")
    output.paragraph(str(told["summary"]))
    facts = _facts(told, now)
    if any(value for _, value in facts):
        output.data("")
        output.pairs(facts)
    _workers(told.get("workers", ()), output)
    _in_its_place(told.get("in_its_place", ()), output, now)
    _changes(told, output)
    _attempts(told.get("attempts", ()), output)


def _facts(told: Told, now: datetime) -> list[tuple[str, str]]:
    return [
        ("Needs", str(told.get("needs", {}).get("text", ""))),
        ("Held by", ", ".join(told.get("rule", {}).get("run_ids", ()))),
        ("Ahead", _ahead(told.get("position"))),
        ("Next", "\n".join(_run_line(each) for each in _next(told))),
        ("Kept", _kept(told.get("kept"), str(told["run_id"]))),
        ("Starts", _start(told.get("start"), now)),
    ]


def _ahead(position: Told | None) -> str:
    if position is None:
        return ""
    count = position["ahead"]
    runs = "none" if count == 0 else counted(count, "run")
    return runs if position["exact"] else f"more than {runs}"


def _next(told: Told) -> Sequence[Told]:
    return told.get("position", {}).get("first", ())


def _run_line(each: Told) -> str:
    owner = f", {each['owner']}" if each["owner"] else ""
    return f"{each['run_id']}  {each['op'] or 'image'}, priority {each['priority']}{owner}"


def _kept(kept: Told | None, run_id: str) -> str:
    if kept is None:
        return ""
    whom = "this run" if kept["run_id"] == run_id else kept["run_id"]
    gives = kept["giving_way"]
    way = f"; {', '.join(gives)} gives way to it" if gives else ""
    return f"worker {kept['name']} is kept for {whom}{way}"


def _start(start: Told | None, now: datetime) -> str:
    if start is None:
        return ""
    if start["at"] is None:
        return f"unknown: {start['basis']}"
    at = datetime.fromisoformat(start["at"])
    left_s = (at - now).total_seconds()
    when = f"in about {duration(left_s)}" if left_s >= 1 else "now"
    return f"{when}, at {at.astimezone():%H:%M:%S %Z}\n" + start["basis"].replace("; ", "\n")


def _workers(workers: Sequence[Told], output: Output) -> None:
    if not workers:
        return
    output.data("\nWorkers")
    width = max(len(str(each["name"])) for each in workers)
    for each in workers:
        reasons = each["reasons"]
        more = "" if each["ever"] or len(reasons) == 0 else " (never)"
        words = "; ".join(reasons) if reasons else "has room"
        output.paragraph(f"{each['name']:<{width}}  {words}{more}")


def _in_its_place(holding: Sequence[Told], output: Output, now: datetime) -> None:
    if not holding:
        return
    output.data("\nRunning where it could")
    for each in holding:
        since = age(datetime.fromisoformat(each["since"]), now)
        ends = "its end is not known"
        if each["ends_at"] is not None:
            left_s = (datetime.fromisoformat(each["ends_at"]) - now).total_seconds()
            ends = f"ends in about {duration(max(1.0, left_s))}"
        what = f"{each['op'] or 'image'} on {each['worker']} for {since}, {ends}"
        output.paragraph(f"{each['run_id']}  {what}")


def _changes(told: Told, output: Output) -> None:
    changes = told.get("changes", ())
    if changes:
        output.data("\nIt would start now with one of these changes")
    for each in changes:
        where = f" (on {each['worker']})" if each["worker"] else ""
        output.paragraph(f"- {each['text']}{where}")
        if each["command"] is not None:
            output.data(f"      {each['command']}")
    if not told.get("all_changes_tried", True):
        output.hint("\nnot every change was tried: the fleet or the queue is too large")


def _attempts(attempts: Sequence[Told], output: Output) -> None:
    told = [each for each in attempts if each["next"] != "none" or each["worker_id"]]
    if not told:
        return
    output.data("\nAttempts")
    for each in told:
        output.paragraph(_attempt_line(each))
        for line in _decision(each):
            output.paragraph(line, 5)


def _attempt_line(each: Told) -> str:
    reason = f" ({each['reason']})" if each["reason"] and each["reason"] != each["state"] else ""
    parts = [f"{each['attempt']}. {each['state']}{reason}"]
    if each["worker_id"]:
        parts.append(f"on {each['worker_id']}")
    if each["duration_ms"] is not None:
        parts.append(f"after {duration(each['duration_ms'] / 1000)}")
    if each["charged"] is False:
        parts.append("not charged")
    return ", ".join(parts)


def _decision(each: Told) -> list[str]:
    lines = [str(each["message"])] if each["message"] else []
    if each["decision"]:
        lines.append(f"-> {_AFTER[each['next']]}{each['decision']}{_pause(each)}")
    elif each["next"] == "by_hand":
        lines.append("-> tried again by hand")
    return lines


def _pause(each: Told) -> str:
    if each["retry_at"] is None or each["finished_at"] is None:
        return ""
    finished, retry = (datetime.fromisoformat(each[key]) for key in ("finished_at", "retry_at"))
    pause_s = (retry - finished).total_seconds()
    return f"; after a pause of {duration(pause_s)}" if pause_s > 0 else ""
