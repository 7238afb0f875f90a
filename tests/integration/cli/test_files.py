"""The files of a run, listed and brought here; what a container calls them leads nowhere else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import httpx2
import pytest

from gyoza.cli.saving import save_files
from gyoza.client import ClientSettings, GyozaClient
from gyoza.wire.messages import ArtifactRef
from tests.integration.cli.pretend_server import PretendServer
from tests.integration.cli.test_verbs import Shell
from tests.support.run_documents import RUN_ID


def a_file(name: str) -> ArtifactRef:
    """A file whose content is its name."""
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    return ArtifactRef(sha256=sha256, size_bytes=len(name), media_type="text/plain", name=name)


@pytest.fixture
def server() -> PretendServer:
    return PretendServer(files=[a_file("a.txt"), a_file("tiles/0.png")])


@pytest.fixture
def shell(server: PretendServer, tmp_path: Path) -> Shell:
    return Shell(server, tmp_path / "home")


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_files_of_a_run_are_listed(shell: Shell) -> None:
    code, out, _ = shell("files", RUN_ID)

    assert code == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert rows[0] == ["NAME", "BYTES", "TYPE", "SHA256"]
    assert [row[0] for row in rows[1:]] == ["a.txt", "tiles/0.png"]


def test_as_json_they_have_stable_keys(shell: Shell, tmp_path: Path) -> None:
    _, out, _ = shell("files", RUN_ID, "--out", str(tmp_path / "out"), "--json")

    (first, _) = json.loads(out)
    assert set(first) == {"sha256", "size_bytes", "media_type", "name", "path"}


def test_they_are_brought_into_a_folder(shell: Shell, tmp_path: Path) -> None:
    code, _, _ = shell("files", RUN_ID, "--out", str(tmp_path / "out"))

    assert code == 0
    assert contents(tmp_path / "out") == {"a.txt": "a.txt", "tiles/0.png": "tiles/0.png"}


def test_run_brings_them_once_the_run_has_completed(shell: Shell, tmp_path: Path) -> None:
    code, _, err = shell("run", "wordcount", "-i", "text=a", "--out", str(tmp_path / "out"))

    assert code == 0
    assert f"saved {tmp_path / 'out' / 'a.txt'}" in err
    assert set(contents(tmp_path / "out")) == {"a.txt", "tiles/0.png"}


def test_out_and_detach_do_not_go_together(shell: Shell, tmp_path: Path) -> None:
    code, _, err = shell("run", "wordcount", "-i", "text=a", "-d", "--out", str(tmp_path))

    assert code == 2
    assert "gyoza files" in err


def test_a_url_for_an_input_that_is_no_file_is_refused_with_the_way_out(shell: Shell) -> None:
    code, _, err = shell("run", "wordcount", "-i", "text=@https://box/a", "-d")

    assert code == 7
    assert "-i text=https://box/a" in err


@pytest.mark.parametrize(
    ("names", "saved"),
    [
        (["../../x", "/etc/y", "..\\z"], ["etc/y", "x", "z"]),
        (["a", "../a", "./a"], ["a", "a-2", "a-3"]),
        (["a", "a/b", "a-b"], ["a", "a-b", "a-b-2"]),
        (["a/b", "a"], ["a-2", "a/b"]),
        (["x.tar.gz", "/x.tar.gz"], ["x.tar-2.gz", "x.tar.gz"]),
    ],
)
def test_whatever_a_file_is_called_it_ends_inside_under_a_name_of_its_own(
    tmp_path: Path, names: list[str], saved: list[str]
) -> None:
    files = [a_file(name) for name in names]
    by_hash = {file.sha256: file.name for file in files}

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, text=by_hash[request.url.path.rpartition("/")[2]])

    settings = ClientSettings("http://box:1")
    with GyozaClient(settings=settings, transport=httpx2.MockTransport(answer)) as client:
        list(save_files(client, files, tmp_path / "deep" / "out"))

    assert sorted(contents(tmp_path / "deep" / "out")) == saved
    assert sorted(contents(tmp_path / "deep" / "out").values()) == sorted(names)
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"out"}


def test_a_link_that_leads_out_of_the_folder_is_not_followed(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "tiles").symlink_to(tmp_path / "elsewhere")

    code, _, err = shell("files", RUN_ID, "--out", str(tmp_path / "out"))

    assert code == 7
    assert "leads out" in err
    assert contents(tmp_path / "elsewhere") == {}
