"""What an earlier process of this worker left behind: finding it, naming it, removing it.

What is to become of each container is decided in `adoption`. Only what carries this worker's label,
or lies in its own state folder, is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Container, Iterable
from typing import Final, Literal

import structlog

from gyoza.wire.messages import Assignment, ContainerReport
from gyoza.worker.adoption import Adoption, Key, Known, key_of, number_of
from gyoza.worker.execution.labels import LABEL
from gyoza.worker.execution.services import Services
from gyoza.worker.execution.workdir import RUNS, WorkFolder
from gyoza.worker.removal import delete_folder
from gyoza.worker.reporting import microseconds
from gyoza.worker.runtime.interface import ContainerState, ManagedContainer, RuntimeFault

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
            attempt=number_of(each, "attempt"),
            fence=number_of(each, "fence"),
            state=_state(each.state),
            exit_code=each.state.exit_code,
            cpu=number_of(each, "cpu"),
            ram_mb=number_of(each, "ram_mb"),
            vram_mb=number_of(each, "vram_mb"),
            gpu_uuid=each.labels.get(f"{LABEL}gpu"),
        )
        for each in containers
    ]


async def known_to(services: Services) -> Known:
    """What this worker knows besides the containers.

    Raises:
        RuntimeFault: The engine does not answer.
    """
    process = (await services.runtime.fingerprint()).process
    services.journal.engine(process)
    return Known(
        unfinished={
            (each.assignment.run_id, each.assignment.fence): each
            for each in services.journal.unfinished
        },
        state_dir=services.state_dir,
        boot_id=services.identity.boot_id,
        now_ns=microseconds(services.clock.now()) * 1000,
    )


def take_over(services: Services, adoption: Adoption) -> None:
    """Note what is gone on with, so that the next process can go on with it, too."""
    journal, assignment = services.journal, adoption.assignment
    run_id, fence = assignment.run_id, assignment.fence
    known = {(each.assignment.run_id, each.assignment.fence) for each in journal.unfinished}
    # A full disk is no reason to leave a container alone that is ours.
    with contextlib.suppress(OSError):
        if (run_id, fence) not in known:
            journal.begin(assignment)
            journal.created(run_id, fence, adoption.resumed.handle.to_dict(), None)
        journal.reached(run_id, fence, adoption.resumed.past)


async def remove(
    services: Services, containers: Iterable[ManagedContainer]
) -> list[ManagedContainer]:
    """Remove containers with their folders; returns those that the engine has not let go of."""
    kept: list[ManagedContainer] = []
    for each in containers:
        run_id, fence = key_of(each)
        folder = WorkFolder.of(services.state_dir, run_id, number_of(each, "attempt"), fence)
        try:
            _log.info("removing a container that nobody wants", name=each.handle.name)
            await services.runtime.remove(each.handle)
            await asyncio.to_thread(delete_folder, folder.path)
        except RuntimeFault as fault:
            _log.warning("container stays for now", name=each.handle.name, why=str(fault))
            kept.append(each)
        except OSError as error:
            _log.warning("folder stays for now", path=str(folder.path), why=str(error))
        else:
            services.journal.end(run_id, fence)
    return kept


async def forget(services: Services, kept: Container[Key], folders: Container[str]) -> None:
    """Delete the folders, and end the notes, of attempts of which no container is left.

    Args:
        services: Of the worker.
        kept: Attempts that are held, or may be.
        folders: Names of their folders.
    """
    await asyncio.to_thread(_delete_folders, services, folders)
    for each in services.journal.unfinished:
        key = each.assignment.run_id, each.assignment.fence
        if key not in kept:
            services.journal.end(*key)


async def sweep(
    services: Services, held: Callable[[], Container[Key]]
) -> list[ManagedContainer] | None:
    """Remove what a sick engine has kept, or made after its call had been given up.

    What it has removed after that call had been given up leaves a folder and a note; they go, too.

    Args:
        services: Of the worker.
        held: Tells the attempts whose containers are to stay. Asked once the engine has answered:
            what was begun while it took its time is not to be swept away.

    Returns:
        What is still there that should not be; None if the engine did not say.
    """
    noted = services.journal.unfinished
    try:
        found = await find_containers(services)
    except RuntimeFault as fault:
        _log.warning("could not sweep", why=str(fault))
        return None
    stay = held()
    there = {key_of(each) for each in found}
    left = await remove(services, [each for each in found if key_of(each) not in stay])
    for each in noted:
        key = each.assignment.run_id, each.assignment.fence
        if key not in stay and key not in there:
            await _forget_one(services, each.assignment)
    return left


async def _forget_one(services: Services, assignment: Assignment) -> None:
    run_id, fence = assignment.run_id, assignment.fence
    folder = WorkFolder.of(services.state_dir, run_id, assignment.attempt, fence)
    try:
        await asyncio.to_thread(delete_folder, folder.path)
    except OSError as error:
        _log.warning("folder stays for now", path=str(folder.path), why=str(error))
    else:
        services.journal.end(run_id, fence)


def _delete_folders(services: Services, kept: Container[str]) -> None:
    runs = services.state_dir / RUNS
    for path in runs.iterdir() if runs.is_dir() else ():
        try:
            if path.name not in kept:
                delete_folder(path)
        except OSError as error:
            _log.warning("folder stays for now", path=str(path), why=str(error))


def _state(state: ContainerState) -> Literal["created", "running", "exited"]:
    if state.status in _LIVE:
        return "running"
    return "created" if state.status == "created" else "exited"
