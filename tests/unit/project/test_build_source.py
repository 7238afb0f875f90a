"""What a build finds in a project: what to run, what to install, which files to take."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza.project.base_images import choose_base
from gyoza.project.build_settings import BuildSettings
from gyoza.project.build_source import read_build_source
from gyoza.project.dependencies import Source
from gyoza.project.errors import ProjectError
from gyoza.project.image_plan import plan_image

OP = "from gyoza.op import op\n\n@op\ndef greet() -> str:\n    return ''\n"
YML = "id: hello\nversion: 1.10\n"
SCRIPT = f"""# /// script
# dependencies = ["numpy>=2"]
#
# [tool.gyoza]
# version = "2.0.0"
# ///
{OP}"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "gyoza.yml").write_text(YML)
    (tmp_path / "hello.py").write_text(OP)
    return tmp_path


def test_the_one_function_marked_as_op_is_what_the_image_runs(project: Path) -> None:
    source = read_build_source(project)

    assert (source.entrypoint, source.version) == ("hello:greet", "1.10")


def test_a_function_is_not_an_op_for_having_a_decorator_of_that_name(project: Path) -> None:
    (project / "other.py").write_text("from elsewhere import op\n\n@op\ndef shown(): ...\n")

    source = read_build_source(project)

    assert source.entrypoint == "hello:greet"


def test_two_marked_functions_have_to_be_chosen_between(project: Path) -> None:
    (project / "second.py").write_text("import gyoza.op as g\n\n@g.op(cpu=1)\nclass Two: ...\n")

    with pytest.raises(ProjectError, match="one of hello:greet, second:Two"):
        read_build_source(project)


def test_an_entrypoint_that_is_written_needs_no_search(project: Path) -> None:
    (project / "gyoza.yml").write_text(YML + "entrypoint: lib.ops:run\n")

    assert read_build_source(project).entrypoint == "lib.ops:run"


def test_a_wrong_build_section_is_told_with_its_line(project: Path) -> None:
    (project / "gyoza.yml").write_text(YML + "build:\n  sytem: [libgomp1]\n  python: 3.12\n")

    with pytest.raises(ProjectError) as caught:
        read_build_source(project)

    text = str(caught.value)
    assert "gyoza.yml:4: build.sytem: unknown field; did you mean system?" in text
    assert "gyoza.yml:5: build.python: got 3.12, expected a Python version in quotes" in text


@pytest.mark.parametrize("package", ["lib gomp", "-o=x", "a;rm", "$(id)", "UPPER"])
def test_a_system_package_is_a_name_and_nothing_else(project: Path, package: str) -> None:
    (project / "gyoza.yml").write_text(YML + f"build: {{system: ['{package}']}}\n")

    with pytest.raises(ProjectError, match="the name of a Debian package"):
        read_build_source(project)


def test_a_lock_file_wins_over_requirements(project: Path) -> None:
    for name in ("uv.lock", "requirements.txt"):
        (project / name).write_text("")
    (project / "pyproject.toml").write_text("[project]\nname = 'x'\nversion = '1'\n")

    assert read_build_source(project).dependencies.source is Source.LOCK


def test_a_pyproject_without_dependencies_installs_nothing(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")

    assert read_build_source(project).dependencies.source is Source.NONE


def test_requirements_bring_the_files_that_they_include(project: Path) -> None:
    (project / "more").mkdir()
    (project / "requirements.txt").write_text("-r more/base.txt\n-c limits.txt\nnumpy\n")
    (project / "more" / "base.txt").write_text("--constraint=../limits.txt\n")
    (project / "limits.txt").write_text("numpy<3\n")

    found = read_build_source(project).dependencies

    assert found.files == ("requirements.txt", "more/base.txt", "limits.txt")


def test_requirements_outside_the_project_are_refused_with_their_line(project: Path) -> None:
    (project / "requirements.txt").write_text("numpy\n-r ../shared.txt\n")

    with pytest.raises(ProjectError, match=r"requirements.txt:2: .*outside the project"):
        read_build_source(project)


def test_a_single_file_is_a_project(tmp_path: Path) -> None:
    file = tmp_path / "my_op.py"
    file.write_text(SCRIPT)

    source = read_build_source(file)

    assert (source.id, source.version, source.entrypoint) == ("my-op", "2.0.0", "my_op:greet")
    assert source.added == {".gyoza/requirements.txt": "numpy>=2\n"}
    assert list(source.files) == ["my_op.py"]


def test_the_lock_beside_a_single_file_is_honoured_without_its_code(tmp_path: Path) -> None:
    file = tmp_path / "my_op.py"
    file.write_text(SCRIPT)
    (tmp_path / "my_op.py.lock").write_text("version = 1\n")

    source = read_build_source(file)

    assert source.dependencies.source is Source.SCRIPT_LOCK
    assert "def greet" not in source.added[".gyoza/my_op.py"]
    assert source.added[".gyoza/my_op.py"].endswith("# ///\n")


def test_a_broken_block_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "my_op.py"
    file.write_text("#!/usr/bin/env python\n# /// script\n# dependencies = 1\n# ///\n" + OP)

    with pytest.raises(ProjectError, match=r"my_op\.py:2: .*dependencies must be a list"):
        read_build_source(file)


def test_a_project_with_its_own_dockerfile_needs_no_entrypoint(tmp_path: Path) -> None:
    (tmp_path / "gyoza.yml").write_text(YML)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")

    source = read_build_source(tmp_path)

    assert (source.entrypoint, source.dockerfile) == (None, "FROM scratch\n")


def test_what_is_installed_from_is_not_code(project: Path) -> None:
    (project / "requirements.txt").write_text("numpy\n")
    (project / "data").mkdir()
    (project / "data" / "a.json").write_text("{}")

    plan = plan_image(read_build_source(project), "base")

    assert (plan.code, plan.folders) == (("data", "hello.py"), {"data"})


def test_the_flag_wins_over_the_project_and_the_project_over_the_machine() -> None:
    environment = {"GYOZA_BASE_IMAGE": "machine"}

    named = BuildSettings(base="project")

    assert choose_base("flag", named, environment) == "flag"
    assert choose_base(None, named, environment) == "project"
    assert choose_base(None, BuildSettings(python="3.13"), environment) == "machine"
    assert choose_base(None, BuildSettings(python="3.13"), {}) == "python:3.13-slim"
    assert choose_base(None, BuildSettings(), {}) == "python:3.12-slim"
