from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyoza.worker import hostile_files
from gyoza.worker.hostile_files import Missing, Refused
from gyoza.worker.removal import delete_folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def opened(out: Path) -> Iterator[int]:
    with hostile_files.opened_folder(out) as folder:
        yield folder


def plant_symlink(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def plant_dangling(path: Path) -> None:
    path.symlink_to("/nowhere")


def plant_fifo(path: Path) -> None:
    os.mkfifo(path)


def plant_socket(path: Path) -> None:
    # The path itself may be longer than a socket's address may be.
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(path.parent)
        listener.bind(path.name)


def plant_hard_link(path: Path) -> None:
    other = path.parent.parent / "canary"
    other.write_text("secret")
    path.hardlink_to(other)


def plant_folder(path: Path) -> None:
    path.mkdir()


def plant_device(path: Path) -> None:
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root may make devices")


KINDS = {
    "symbolic link": plant_symlink,
    "dangling link": plant_dangling,
    "FIFO": plant_fifo,
    "socket": plant_socket,
    "hard link": plant_hard_link,
    "folder": plant_folder,
    "device": plant_device,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(5)
def test_anything_but_a_plain_file_is_refused_without_hanging(
    kind: str, out: Path, opened: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(out)  # so that it is put back
    KINDS[kind](out / "planted")

    with pytest.raises(Refused, match="planted"):
        hostile_files.open_regular(opened, "planted")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "folder"])
def test_a_walk_names_what_cannot_be_taken_and_why(
    kind: str, out: Path, opened: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(out)
    KINDS[kind](out / "planted")
    (out / "plain").write_text("x")

    found = hostile_files.walk_files(opened, max_files=10, max_levels=3)

    assert [(file.path, bool(file.refusal)) for file in found] == [
        ("plain", False),
        ("planted", True),
    ]


def test_a_missing_file_is_told_from_a_refused_one(opened: int) -> None:
    with pytest.raises(Missing):
        hostile_files.open_regular(opened, "nothing")


def test_the_out_folder_itself_must_not_be_a_link(tmp_path: Path, out: Path) -> None:
    (tmp_path / "link").symlink_to(out)

    with pytest.raises(Refused), hostile_files.opened_folder(tmp_path / "link"):
        pass


def test_a_file_that_grows_is_read_to_the_cap_only(out: Path, opened: int) -> None:
    (out / "big").write_bytes(b"x" * 1000)

    content, is_more = hostile_files.read_small_file(opened, "big", 100)

    assert (len(content), is_more) == (100, True)


def test_a_file_of_exactly_the_cap_is_whole(out: Path, opened: int) -> None:
    (out / "fits").write_bytes(b"x" * 100)

    assert hostile_files.read_small_file(opened, "fits", 100) == (b"x" * 100, False)


def test_an_endless_sparse_file_costs_no_memory(out: Path, opened: int) -> None:
    with (out / "sparse").open("wb") as file:
        file.truncate(1 << 40)

    content, is_more = hostile_files.read_small_file(opened, "sparse", 1024)

    assert (len(content), is_more) == (1024, True)


def test_a_link_on_the_way_is_not_followed(tmp_path: Path, out: Path, opened: int) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "canary").write_text("secret")
    (out / "sub").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(Refused):
        hostile_files.open_below(opened, "sub/canary")


@pytest.mark.parametrize("path", ["../canary", "a/../../canary", "/etc/passwd", "a//b", ".", ""])
def test_a_path_that_is_not_plain_is_refused(path: str, opened: int) -> None:
    with pytest.raises(Refused):
        hostile_files.open_below(opened, path)


def test_too_many_files_are_refused(out: Path, opened: int) -> None:
    for number in range(5):
        (out / str(number)).touch()

    with pytest.raises(Refused, match="more than 4 files"):
        hostile_files.walk_files(opened, max_files=4, max_levels=3)


def test_folders_nested_too_deep_are_refused(out: Path, opened: int) -> None:
    (out / "a" / "b" / "c").mkdir(parents=True)

    with pytest.raises(Refused, match="too deep"):
        hostile_files.walk_files(opened, max_files=100, max_levels=3)


def test_a_walk_through_links_stays_inside(out: Path, opened: int) -> None:
    (out / "loop").symlink_to(out)

    found = hostile_files.walk_files(opened, max_files=100, max_levels=3)

    assert [file.path for file in found] == ["loop"]


def test_a_name_that_is_not_utf8_is_refused(out: Path, opened: int) -> None:
    (out / os.fsdecode(b"\xff")).touch()

    (found,) = hostile_files.walk_files(opened, max_files=100, max_levels=3)

    assert "UTF-8" in found.refusal


def test_disk_usage_counts_blocks_and_not_what_files_claim(out: Path, opened: int) -> None:
    with (out / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    (out / "sub").mkdir()
    (out / "sub" / "real").write_bytes(b"x" * 1_000_000)

    used, problem = hostile_files.disk_usage(opened)

    assert 1_000_000 <= used < 2_000_000
    assert problem == ""


def test_disk_usage_says_when_folders_are_nested_beyond_reason(out: Path, opened: int) -> None:
    (out / "/".join("d" * 70)).mkdir(parents=True)

    assert "too deep" in hostile_files.disk_usage(opened)[1]


def test_deleting_removes_links_and_not_what_they_lead_to(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "canary").write_text("secret")
    (out / "folder").symlink_to(tmp_path / "kept")
    (out / "file").symlink_to(tmp_path / "kept" / "canary")
    plant_fifo(out / "fifo")
    (out / "closed").mkdir(mode=0)

    delete_folder(out)

    assert not out.exists()
    assert (tmp_path / "kept" / "canary").read_text() == "secret"


def test_deleting_a_tree_of_thousands_of_levels_needs_neither_stack_nor_descriptors(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(out)
    for _ in range(3000):
        Path("d").mkdir()
        os.chdir("d")
    monkeypatch.chdir(tmp_path)

    delete_folder(out)

    assert not out.exists()


def test_deleting_copes_with_names_like_its_own(out: Path) -> None:
    (out / "a" / "b").mkdir(parents=True)
    (out / ".removing-1").mkdir()
    (out / ".removing-1" / "full").touch()
    (out / ".removing-2").touch()

    delete_folder(out)

    assert not out.exists()


def test_deleting_what_is_gone_does_nothing(tmp_path: Path) -> None:
    delete_folder(tmp_path / "never")


def test_a_file_inside_a_folder_whose_name_is_not_utf8_is_refused(out: Path, opened: int) -> None:
    folder = out / os.fsdecode(b"\xff")
    folder.mkdir()
    (folder / "plain").write_text("x")

    (found,) = hostile_files.walk_files(opened, max_files=10, max_levels=5)

    assert found.refusal == "has a name that is not UTF-8"


def test_a_file_of_many_names_takes_its_room_once(out: Path, opened: int) -> None:
    (out / "one").write_bytes(b"x" * 1024 * 1024)
    before, _ = hostile_files.disk_usage(opened)
    for number in range(50):
        (out / f"again-{number}").hardlink_to(out / "one")

    after, problem = hostile_files.disk_usage(opened)

    assert (after, problem) == (before, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else for a moment")
def test_a_folder_closed_to_the_worker_hides_nothing(out: Path, opened: int) -> None:
    hidden = out / "hidden"
    hidden.mkdir()
    (hidden / "large").write_bytes(b"x" * 1024 * 1024)
    hidden.chmod(0)
    os.chown(hidden, 65532, 65532)
    os.chmod(opened, 0o755)
    os.seteuid(65532)
    try:
        _, problem = hostile_files.disk_usage(opened)
        with pytest.raises(Refused, match="hidden is closed to the worker"):
            hostile_files.walk_files(opened, max_files=10, max_levels=5)
    finally:
        os.seteuid(0)

    assert "hidden is closed to the worker" in problem
