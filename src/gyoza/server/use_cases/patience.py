"""Whether silence may cost runs their attempts, or is more likely our own fault.

Two reasons to wait, both kept in the database so that neither a restart nor a second server forgets
them. The amnesty: after any gap in the control plane's own ticking workers could not reach it
either. The brake: when most workers fall silent at once, something between them and us broke. Why:
docs/decisions/0014-silence-is-first-taken-for-our-own.md.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from gyoza.models.timestamps import format_time
from gyoza.server.settings import Settings
from gyoza.server.storage.records import Pulse
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.outside import Outside

_log = structlog.stdlib.get_logger("gyoza.server.use_cases")
AWAY = "the server itself was away"
MASS_LOSS = "more than half of the workers fell silent at once, which is more likely our own fault"


def is_tick_due(uow: UnitOfWork, settings: Settings) -> bool:
    """Whether the pulse is to be noted again."""
    pulse, now = uow.pulse.find(), uow.now()
    if pulse is None or now < pulse.ticked_at:  # a clock that was set back must not stop the pulse
        return True
    return (now - pulse.ticked_at).total_seconds() >= settings.pulse_interval_s


def tick(uow: UnitOfWork, outside: Outside) -> Pulse:
    """Note that the control plane lives; whoever sees a gap before it begins the amnesty.

    Seeing the gap and beginning the amnesty is one transaction, so two servers cannot disagree.
    """
    settings, now, before = outside.settings, uow.now(), uow.pulse.lock()
    longest = now + timedelta(seconds=settings.amnesty_s)
    if before is None:
        after = Pulse(now, amnesty_until=longest)
    else:
        gap_s = (now - before.ticked_at).total_seconds()
        if gap_s < 0:
            _set_back(uow, settings)
        away = gap_s > settings.amnesty_after_gap_s
        until = longest if away else before.amnesty_until
        # A clock that was set back must not make it longer than it was meant.
        after = replace(before, ticked_at=now, amnesty_until=until and min(until, longest))
        if away:
            _log.warning("no lease expires for a while", why=AWAY, away_s=round(gap_s))
    uow.pulse.save(after)
    return after


def _set_back(uow: UnitOfWork, settings: Settings) -> None:
    """Keep what was noted by a clock that was ahead from lasting until the time has caught up."""
    longest_s = max(settings.lease_s, settings.hand_off_s)
    uow.assignments.shorten_leases(uow.now() + timedelta(seconds=longest_s))
    uow.workers.none_heard_after(uow.now())


def may_expire(uow: UnitOfWork, outside: Outside) -> bool:
    """Whether leases that are over may cost runs their attempts now; there are such leases.

    Ticks first, in the same transaction: a server that was frozen between its look and this finds
    out before it harms anybody.
    """
    pulse = tick(uow, outside)
    if pulse.amnesty_until is not None and uow.now() < pulse.amnesty_until:
        outside.tally.count("amnesty used")
        return False
    return not _brakes(uow, pulse, outside)


def suspension(uow: UnitOfWork) -> str:
    """Say until when no lease expires, and why; "" when leases expire as usual."""
    pulse, now = uow.pulse.find(), uow.now()
    if pulse is None:
        return ""
    for until, why in ((pulse.brake_until, MASS_LOSS), (pulse.amnesty_until, AWAY)):
        if until is not None and now < until:
            return f"no lease expires before {format_time(until)}: {why}"
    return ""


def is_mass_loss(silent: int, known: int, settings: Settings) -> bool:
    """Whether so many workers of those known fell silent that they are unlikely to be at fault."""
    return silent >= settings.brake_from_workers and silent * 2 > known


def _brakes(uow: UnitOfWork, pulse: Pulse, outside: Outside) -> bool:
    settings, now = outside.settings, uow.now()
    hold = timedelta(seconds=settings.brake_s)
    held_until = pulse.brake_until
    if held_until is not None and held_until <= now < held_until + hold:
        return False  # held as long as it may be: now they are lost
    silent, known = _silent_and_known(uow, now, settings)
    if not is_mass_loss(silent, known, settings):
        if held_until is not None:
            uow.pulse.save(replace(pulse, brake_until=None))
            _log.info("leases expire as usual again", silent=silent, workers=known)
        return False
    if held_until is None or held_until + hold <= now:
        uow.pulse.save(replace(pulse, brake_until=now + hold))
        outside.tally.count("brake held")
        _log.warning(
            "no lease expires for a while",
            why=MASS_LOSS,
            silent=silent,
            workers=known,
            seconds=settings.brake_s,
        )
    return True


def _silent_and_known(uow: UnitOfWork, now: datetime, settings: Settings) -> tuple[int, int]:
    """How many fell silent lately or hold what is over, and of how many.

    Silence begins long before the lease ends, or the first of many would be lost before the others
    count. A worker that has been away for long and holds nothing was gone before: it is none.
    """
    silence_s = {each.id: (now - each.last_seen_at).total_seconds() for each in uow.workers.list()}
    heard = {worker for worker, s in silence_s.items() if s <= settings.silent_after_s}
    lately = {
        worker for worker, s in silence_s.items() if s <= settings.lease_s + settings.brake_s
    } - heard
    silent = (uow.assignments.expired_holders(now) - heard) | lately
    return len(silent), len(silent | heard)
