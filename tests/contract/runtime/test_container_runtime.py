"""What every container runtime does, whatever stands behind it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gyoza.worker.runtime.interface import (
    ContainerGone,
    ContainerHandle,
    ImageNotFound,
    LogChunk,
    LogPosition,
    Mount,
    NameConflict,
    OutOfResources,
    RuntimeFault,
    StartFailed,
)
from tests.contract.runtime.bench import LABEL, Bench

pytestmark = pytest.mark.anyio

SOON_S = 20.0


class TestContainerRuntime:
    async def test_the_fingerprint_says_what_the_machine_has(self, bench: Bench) -> None:
        info = await bench.runtime.fingerprint()

        assert info.cpus >= 1
        assert info.memory_mb > 100
        assert info.cgroup_version in ("1", "2")
        assert info.version
        assert info.capabilities.network_disabled

    async def test_an_image_on_this_machine_is_found_with_its_local_id(self, bench: Bench) -> None:
        found = await bench.runtime.find_image(bench.spec("succeeds").image)

        assert found is not None
        assert found.id.startswith("sha256:")
        assert found.size_bytes > 0

    async def test_an_image_is_listed_under_the_names_it_is_found_by(self, bench: Bench) -> None:
        image = bench.spec("succeeds").image
        found = await bench.runtime.find_image(image)

        listed = await bench.runtime.list_images(2000)

        assert found is not None
        assert {image, found.id} <= set(listed)
        assert await bench.runtime.list_images(0) == []

    async def test_an_unknown_image_is_not_found(self, bench: Bench) -> None:
        assert await bench.runtime.find_image("gyoza-test/never-built:1") is None

    async def test_creating_from_an_unknown_image_is_the_users_mistake(self, bench: Bench) -> None:
        with pytest.raises(ImageNotFound) as caught:
            await bench.created("succeeds", image="gyoza-test/never-built:1")

        assert caught.value.charged
        assert not caught.value.is_recoverable
        assert "gyoza-test/never-built:1" in caught.value.message

    async def test_a_container_that_succeeds_ends_with_exit_code_zero(self, bench: Bench) -> None:
        _, state = await bench.ended("succeeds")

        assert state.status == "exited"
        assert state.exit_code == 0
        assert not state.oom_killed
        assert state.started_at is not None
        assert state.finished_at is not None
        assert state.started_at.tzinfo is not None

    async def test_the_exit_code_is_the_programs_own(self, bench: Bench) -> None:
        _, state = await bench.ended("fails with 7")

        assert state.exit_code == 7

    async def test_a_created_container_does_not_run(self, bench: Bench) -> None:
        handle = await bench.created("succeeds")

        state = await bench.runtime.inspect(handle)

        assert state.status == "created"
        assert state.exit_code is None
        assert not state.has_ended

    async def test_a_running_container_says_so(self, bench: Bench) -> None:
        handle = await bench.started("runs until stopped")

        state = await bench.runtime.inspect(handle)

        assert state.status == "running"
        assert state.exit_code is None
        assert state.finished_at is None

    async def test_starting_a_running_container_again_changes_nothing(self, bench: Bench) -> None:
        handle = await bench.started("runs until stopped")
        before = await bench.runtime.inspect(handle)

        await bench.runtime.start(handle)

        assert await bench.runtime.inspect(handle) == before

    async def test_waiting_on_an_ended_container_answers_at_once(self, bench: Bench) -> None:
        handle, first = await bench.ended("fails with 7")

        again = await asyncio.wait_for(bench.runtime.wait(handle), SOON_S)

        assert again == first

    async def test_waiting_may_begin_before_the_start(self, bench: Bench) -> None:
        handle = await bench.created("fails with 7")
        waiting = asyncio.create_task(bench.runtime.wait(handle))
        done, _ = await asyncio.wait({waiting}, timeout=0.3)

        await bench.runtime.start(handle)

        assert not done
        assert (await asyncio.wait_for(waiting, SOON_S)).exit_code == 7

    async def test_several_may_wait_for_one_container(self, bench: Bench) -> None:
        handle = await bench.started("runs until stopped")
        waiting = [asyncio.create_task(bench.runtime.wait(handle)) for _ in range(3)]

        await bench.runtime.kill(handle)

        states = await asyncio.wait_for(asyncio.gather(*waiting), SOON_S)
        assert [state.exit_code for state in states] == [137, 137, 137]

    async def test_a_cancelled_wait_leaves_the_container_alone(self, bench: Bench) -> None:
        handle = await bench.started("runs until stopped")
        waiting = asyncio.create_task(bench.runtime.wait(handle))
        await asyncio.wait({waiting}, timeout=0.1)

        waiting.cancel()
        await asyncio.wait({waiting})

        assert (await bench.runtime.inspect(handle)).status == "running"

    async def test_more_containers_are_waited_for_than_a_connection_pool_holds(
        self, bench: Bench
    ) -> None:
        handle = await bench.started("runs until stopped")
        waiting = [asyncio.create_task(bench.runtime.wait(handle)) for _ in range(120)]
        await asyncio.wait(waiting, timeout=0.5)

        state = await asyncio.wait_for(bench.runtime.inspect(handle), SOON_S)

        assert state.status == "running"
        await bench.runtime.kill(handle)
        await asyncio.wait_for(asyncio.gather(*waiting), SOON_S)

    async def test_sigterm_ends_a_program_that_does_not_handle_it(self, bench: Bench) -> None:
        handle = await bench.started("runs until stopped")
        await bench.first_words(handle)

        await bench.runtime.signal(handle, "SIGTERM")

        state = await asyncio.wait_for(bench.runtime.wait(handle), SOON_S)
        assert state.exit_code == 143

    async def test_a_program_that_ignores_sigterm_runs_on_until_it_is_killed(
        self, bench: Bench
    ) -> None:
        handle = await bench.started("ignores SIGTERM")
        await bench.first_words(handle)

        await bench.runtime.signal(handle, "SIGTERM")
        waiting = asyncio.create_task(bench.runtime.wait(handle))
        ended_by_sigterm, _ = await asyncio.wait({waiting}, timeout=0.5)
        await bench.runtime.kill(handle)

        assert not ended_by_sigterm
        state = await asyncio.wait_for(waiting, SOON_S)
        assert state.exit_code == 137
        assert not state.oom_killed

    async def test_signals_to_an_ended_container_do_nothing(self, bench: Bench) -> None:
        handle, state = await bench.ended("succeeds")

        await bench.runtime.signal(handle, "SIGTERM")
        await bench.runtime.kill(handle)

        assert await bench.runtime.inspect(handle) == state

    async def test_logs_say_which_stream_each_line_came_from_in_order(self, bench: Bench) -> None:
        handle = await bench.started("speaks")

        chunks = [chunk async for chunk in bench.runtime.logs(handle)]

        assert [(chunk.stream, chunk.data) for chunk in chunks] == [
            ("stdout", b"one\n"),
            ("stderr", b"two\n"),
            ("stdout", b"three\n"),
        ]
        times = [chunk.t_ns or 0 for chunk in chunks]
        assert times == sorted(set(times))

    async def test_logs_can_be_read_after_the_end(self, bench: Bench) -> None:
        handle, _ = await bench.ended("speaks")

        assert await _words(bench, handle) == b"onetwothree"

    async def test_logs_taken_up_again_repeat_nothing_and_lose_nothing(self, bench: Bench) -> None:
        handle, _ = await bench.ended("speaks")
        first = await bench.first_words(handle)

        rest = await _words(bench, handle, LogPosition().after(first))

        assert first.data == b"one\n"
        assert rest == b"twothree"

    async def test_the_engine_knows_who_was_signalled_through_it(self, bench: Bench) -> None:
        killed = await bench.started("runs until stopped")
        await bench.first_words(killed)
        await bench.runtime.kill(killed)
        left_alone, its_end = await bench.ended("speaks")

        of_killed = await bench.runtime.signals_seen(killed, await bench.runtime.wait(killed))
        of_other = await bench.runtime.signals_seen(left_alone, its_end)

        assert (of_killed, of_other) == ({9}, frozenset())

    async def test_logs_follow_until_the_container_ends(self, bench: Bench) -> None:
        handle = await bench.started("runs until stopped")
        following = asyncio.create_task(_words(bench, handle))
        await bench.first_words(handle)

        before_the_end, _ = await asyncio.wait({following}, timeout=0.2)
        await bench.runtime.kill(handle)

        assert not before_the_end
        assert await asyncio.wait_for(following, SOON_S) == b"ready"

    async def test_the_last_words_are_heard_live_even_without_a_line_end(
        self, bench: Bench
    ) -> None:
        handle = await bench.started("ends without a line end")

        live = await _words(bench, handle)

        assert live == b"first" + b"0123456789" * 5000

    async def test_the_memory_flag_comes_with_a_non_zero_exit_code(self, bench: Bench) -> None:
        _, state = await bench.ended("eats memory", memory_mb=16)

        assert state.oom_killed
        assert state.exit_code == 137

    async def test_a_missing_program_ends_with_127_and_names_itself(self, bench: Bench) -> None:
        handle, state = await bench.ended("names a missing program")

        assert state.exit_code == 127
        assert b"no-such-program" in await _words(bench, handle)

    async def test_a_start_the_engine_refuses_says_why_and_counts_as_ended(
        self, bench: Bench
    ) -> None:
        handle = await bench.created("is refused at start", user="no-such-user")

        with pytest.raises(StartFailed) as caught:
            await bench.runtime.start(handle)

        assert "no-such-user" in caught.value.detail
        assert caught.value.charged
        state = await asyncio.wait_for(bench.runtime.wait(handle), SOON_S)
        assert state.has_ended
        assert "no-such-user" in state.error
        assert state.exit_code is None

    async def test_what_an_op_writes_appears_in_the_mounted_folder(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        folder = tmp_path / "out"
        folder.mkdir()
        folder.chmod(0o777)

        await bench.ended(
            "writes a file", mounts=(Mount(str(folder), "/gyoza/out", read_only=False),)
        )

        assert (folder / "greeting").read_bytes() == b"hello\n"

    async def test_more_cpus_than_the_machine_has_are_refused(self, bench: Bench) -> None:
        with pytest.raises(OutOfResources) as caught:
            await bench.created("succeeds", cpus=4096.0)

        assert "4096 CPUs" in caught.value.message
        assert not caught.value.charged

    async def test_too_little_memory_is_refused_as_the_users_mistake(self, bench: Bench) -> None:
        with pytest.raises(OutOfResources) as caught:
            await bench.created("succeeds", memory_mb=4)

        assert "at least 6 MB" in caught.value.message
        assert caught.value.charged

    async def test_creating_again_with_the_same_labels_gives_the_same_container(
        self, bench: Bench
    ) -> None:
        first = await bench.created("succeeds", name=f"{bench.name}-twin")

        again = await bench.created("succeeds", name=f"{bench.name}-twin")

        assert again == first

    async def test_a_name_taken_under_other_labels_is_a_conflict(self, bench: Bench) -> None:
        name = f"{bench.name}-twin"
        await bench.created("succeeds", name=name, labels={LABEL: bench.name, "fence": "1"})

        with pytest.raises(NameConflict, match=name):
            await bench.created("succeeds", name=name, labels={LABEL: bench.name, "fence": "2"})

    async def test_an_ended_container_is_never_handed_out_to_run_again(self, bench: Bench) -> None:
        name = f"{bench.name}-twin"
        await bench.ended("succeeds", name=name)

        with pytest.raises(NameConflict):
            await bench.created("succeeds", name=name)

    async def test_a_removed_container_is_gone_for_every_verb(self, bench: Bench) -> None:
        handle, _ = await bench.ended("succeeds")

        await bench.runtime.remove(handle)

        for verb in (bench.runtime.inspect, bench.runtime.wait, bench.runtime.kill):
            with pytest.raises(ContainerGone):
                await verb(handle)
        with pytest.raises(ContainerGone):
            await bench.runtime.start(handle)
        with pytest.raises(ContainerGone):
            await _words(bench, handle)

    async def test_removing_twice_is_as_good_as_once(self, bench: Bench) -> None:
        handle, _ = await bench.ended("succeeds")

        await bench.runtime.remove(handle)
        await bench.runtime.remove(handle)

        assert await bench.runtime.list_managed({LABEL: bench.name}) == []

    async def test_removing_a_running_container_kills_it(self, bench: Bench) -> None:
        handle = await bench.started("runs until stopped")

        await bench.runtime.remove(handle)

        assert await bench.runtime.list_managed({LABEL: bench.name}) == []

    async def test_two_may_remove_at_the_same_time(self, bench: Bench) -> None:
        handle = await bench.started("runs until stopped")

        await asyncio.gather(*(bench.runtime.remove(handle) for _ in range(3)))

        assert await bench.runtime.list_managed({LABEL: bench.name}) == []

    async def test_a_name_is_free_again_after_removal(self, bench: Bench) -> None:
        name = f"{bench.name}-twin"
        first = await bench.created("succeeds", name=name)
        await bench.runtime.remove(first)

        second = await bench.created("succeeds", name=name)

        assert second.id != first.id

    async def test_the_inventory_has_what_carries_every_label_with_its_state(
        self, bench: Bench
    ) -> None:
        ours = {LABEL: bench.name, "worker": "wrk_1"}
        ended, _ = await bench.ended("fails with 7", labels={**ours, "fence": "3"})
        waiting = await bench.created("succeeds", labels=ours)
        await bench.created("succeeds", labels={LABEL: bench.name, "worker": "wrk_2"})

        found = {managed.handle: managed for managed in await bench.runtime.list_managed(ours)}

        assert set(found) == {ended, waiting}
        assert found[ended].labels["fence"] == "3"
        assert found[ended].state.exit_code == 7
        assert found[waiting].state.status == "created"

    async def test_a_handle_survives_the_journal(self, bench: Bench) -> None:
        handle, state = await bench.ended("fails with 7")

        again = ContainerHandle.from_dict(handle.to_dict())

        assert again == handle
        assert await bench.runtime.wait(again) == state

    async def test_a_pull_that_fails_is_a_fault_with_words(self, bench: Bench) -> None:
        with pytest.raises(RuntimeFault) as caught:
            await bench.runtime.pull("127.0.0.1:9/gyoza-test/never-built:1", lambda _: None)

        assert "gyoza-test/never-built:1" in caught.value.message
        assert caught.value.detail


async def _words(bench: Bench, handle: ContainerHandle, after: LogPosition | None = None) -> bytes:
    chunks: list[LogChunk] = [chunk async for chunk in bench.runtime.logs(handle, after)]
    return b"".join(chunk.data for chunk in chunks).replace(b"\n", b"")
