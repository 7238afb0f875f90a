"""The same files make the same context, byte for byte."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

from gyoza.project.build_context import context_files, write_context
from gyoza.project.build_source import read_build_source


def a_project(folder: Path) -> Path:
    (folder / "lib").mkdir(parents=True)
    (folder / "gyoza.yml").write_text("id: hello\nversion: 1\nentrypoint: hello:greet\n")
    (folder / "hello.py").write_text("x = 1\n")
    (folder / "lib" / "tool.sh").write_text("#!/bin/sh\n")
    (folder / "lib" / "tool.sh").chmod(0o700)
    (folder / "requirements.txt").write_text("numpy\n")
    return folder


def the_tar(folder: Path) -> bytes:
    target = io.BytesIO()
    write_context(context_files(read_build_source(folder), "FROM base\n"), target)
    return target.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_same_files_elsewhere_at_another_time_make_the_same_tar(tmp_path: Path) -> None:
    first, second = a_project(tmp_path / "one"), a_project(tmp_path / "two")
    for path in second.rglob("*"):
        os.utime(path, (1, 1))
    (second / "hello.py").chmod(0o600)

    assert sha256(the_tar(first)) == sha256(the_tar(second))


def test_other_content_makes_another_tar(tmp_path: Path) -> None:
    first, second = a_project(tmp_path / "one"), a_project(tmp_path / "two")
    (second / "hello.py").write_text("x = 2\n")

    assert sha256(the_tar(first)) != sha256(the_tar(second))


def test_a_tar_tells_nothing_of_who_made_it(tmp_path: Path) -> None:
    project = a_project(tmp_path / "one")

    with tarfile.open(fileobj=io.BytesIO(the_tar(project))) as tar:
        entries = tar.getmembers()

    assert {(e.uid, e.gid, e.uname, e.gname, e.mtime) for e in entries} == {(0, 0, "", "", 0)}
    modes = {e.name: oct(e.mode) for e in entries}
    assert (modes["hello.py"], modes["lib/tool.sh"]) == ("0o644", "0o755")


def test_the_sdk_travels_with_the_project_and_without_the_rest_of_gyoza(tmp_path: Path) -> None:
    files = context_files(read_build_source(a_project(tmp_path / "one")), "FROM base\n")

    sdk = {name for name in files if name.startswith(".gyoza/sdk/")}
    assert {".gyoza/sdk/gyoza/__init__.py", ".gyoza/sdk/gyoza/op/protocol.py"} <= sdk
    outside = {n for n in sdk if not n.startswith(".gyoza/sdk/gyoza/op/")}
    assert outside == {".gyoza/sdk/gyoza/__init__.py"}


def test_what_is_installed_from_comes_along_although_it_is_ignored(tmp_path: Path) -> None:
    project = a_project(tmp_path / "one")
    (project / ".dockerignore").write_text("*.txt\n")

    assert "requirements.txt" in context_files(read_build_source(project), "FROM base\n")


def test_the_dockerfile_comes_first_so_that_the_tar_is_known_as_one(tmp_path: Path) -> None:
    project = a_project(tmp_path / "one")
    (project / "+grüße.py").write_text("")

    files = context_files(read_build_source(project), "FROM base\n")

    assert next(iter(files)) == "Dockerfile"
    assert list(files)[1:] == sorted(list(files)[1:])
