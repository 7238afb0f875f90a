"""What an earlier process of this worker left behind, and how it is put in order at the start.

Re-adoption is not built: containers found are reported to the server, then removed with their
folders, and every attempt that the journal knows to be unfinished is reported as lost, so that its
run need not wait for the lease to end. Only what carries this worker's label, or lies in its own
state folder, is touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable
from typing import Final, Literal

import structlog

from gyoza.wire.messages import ContainerReport, Report, ReportItem, Result
from gyoza.worker.execution.labels import LABEL
from gyoza.worker.execution.services import Services
from gyoza.worker.execution.workdir import RUNS, WorkFolder
from gyoza.worker.journal import Unfinished
from gyoza.worker.removal import delete_folder
from gyoza.worker.reporting import microseconds
from gyoza.worker.runtime.interface import ContainerState, ManagedContainer, RuntimeFault
from gyoza.worker.server_port import ServerAway, ServerRefused

_LIVE: Final = ("running", "paused", "restarting", "removing")
_log = structlog.stdlib.get_logger(__name__)


async def find_containers(services: Services) -> list[ManagedContainer]:
    """This worker's containers on the machine, running or not."""
    wanted = {f"{LABEL}managed": "1", f"{LABEL}worker": services.identity.worker_id}
    return await services.runtime.list_managed(wanted)


def inventory(containers: Iterable[ManagedContainer]) -> list[ContainerReport]:
    """The containers as a registration names them."""
    return [
        ContainerReport(
            name=each.handle.name,
            run_id=each.labels.get(f"{LABEL}run", ""),
            attempt=_number(each, "attempt"),
            fence=_number(each, "fence"),
            state=_state(each.state),
            exit_code=each.state.exit_code,
        )
        for each in containers
    ]


async def put_in_order(services: Services, containers: list[ManagedContainer]) -> None:
    """Remove containers and folders, and report what they were for as lost."""
    for each in containers:
        try:
            await services.runtime.remove(each.handle)
        except RuntimeFault as fault:
            _log.warning("container stays for now", name=each.handle.name, why=str(fault))
    await asyncio.to_thread(_delete_folders, services)
    unfinished = services.journal.unfinished
    if unfinished and await _reported_lost(services, unfinished):
        for each in unfinished:
            services.journal.end(each.assignment.run_id, each.assignment.fence)


async def sweep(services: Services, held: Container[tuple[str, int]]) -> None:
    """Remove what a sick engine has kept, or made after its call had been given up.

    Args:
        services: Of the worker.
        held: Run and fence of the attempts that are being carried out, always up to date.
    """
    try:
        for each in await find_containers(services):
            run_id, fence = each.labels.get(f"{LABEL}run", ""), _number(each, "fence")
            if (run_id, fence) not in held:
                _log.info("removing a container that nobody holds", name=each.handle.name)
                await services.runtime.remove(each.handle)
                folder = WorkFolder.of(services.state_dir, run_id, _number(each, "attempt"), fence)
                await asyncio.to_thread(delete_folder, folder.path)
                services.journal.end(run_id, fence)
    except (RuntimeFault, OSError) as error:
        _log.warning("could not sweep", why=str(error))


def _delete_folders(services: Services) -> None:
    runs = services.state_dir / RUNS
    for path in runs.iterdir() if runs.is_dir() else ():
        try:
            delete_folder(path)
        except OSError as error:
            _log.warning("folder stays for now", path=str(path), why=str(error))


async def _reported_lost(services: Services, unfinished: list[Unfinished]) -> bool:
    now_us = microseconds(services.clock.now())
    items = [_lost(each, now_us) for each in unfinished]
    report = Report(session_id=services.identity.session_id, items=items)
    try:
        await services.server.report(services.identity.worker_id, report)
    except (ServerAway, ServerRefused) as fault:
        # The leases end by themselves; this would only have been quicker.
        _log.info("could not report lost attempts", why=str(fault))
        return isinstance(fault, ServerRefused)
    return True


def _lost(each: Unfinished, now_us: int) -> ReportItem:
    result = Result(
        outcome="FAILED",
        finished_at_us=now_us,
        reason="WORKER_LOST",
        message="the worker was restarted while the run was in progress",
        charged=False,
    )
    assignment = each.assignment
    return ReportItem(
        run_id=assignment.run_id, fence=assignment.fence, token=assignment.token, result=result
    )


def _state(state: ContainerState) -> Literal["created", "running", "exited"]:
    if state.status in _LIVE:
        return "running"
    return "created" if state.status == "created" else "exited"


def _number(container: ManagedContainer, name: str) -> int:
    text = container.labels.get(f"{LABEL}{name}", "")
    return int(text) if text.isdecimal() else 0
