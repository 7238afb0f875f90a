"""Which `docker` command can build: asked of small programs that answer as real ones do."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza.project.build_progress import Step
from gyoza.project.engine_build import Builder, BuildError, Engine, NoBuilder, Order, find_engine


def a_docker(
    folder: Path, client: str, server: str = "20.10.24", *, buildx: bool = False, build: str = ""
) -> str:
    """Write a program that answers `version`, `buildx version` and `build`; return its folder."""
    folder.mkdir()
    program = folder / "docker"
    program.write_text(
        "#!/bin/sh\n"
        'case "$1" in\n'
        f"  version) echo '{client} {server}' ;;\n"
        f"  buildx) exit {0 if buildx else 1} ;;\n"
        f"  build) cat >/dev/null; {build or 'exit 1'} ;;\n"
        "esac\n"
    )
    program.chmod(0o755)
    return str(folder)


def path_of(*folders: str) -> dict[str, str]:
    return {"PATH": ":".join([*folders, "/usr/bin", "/bin"])}


def only(*folders: str) -> dict[str, str]:
    return {"PATH": ":".join(folders)}


def test_a_newer_command_without_buildx_gives_way_to_an_older_one_with_buildkit(
    tmp_path: Path,
) -> None:
    new = a_docker(tmp_path / "new", "28.2.2")
    old = a_docker(tmp_path / "old", "20.10.24")

    engine = find_engine(only(new, old))

    assert (engine.program, engine.builder) == (f"{old}/docker", Builder.BUILDKIT)


def test_without_buildkit_the_classic_builder_does(tmp_path: Path) -> None:
    new = a_docker(tmp_path / "new", "28.2.2")

    assert find_engine(only(new)).builder is Builder.CLASSIC


def test_a_command_with_buildx_is_taken_first(tmp_path: Path) -> None:
    new = a_docker(tmp_path / "new", "29.0.0", buildx=True)
    old = a_docker(tmp_path / "old", "20.10.24")

    assert find_engine(only(new, old)).program == f"{new}/docker"


def test_who_insists_on_buildkit_is_told_of_each_command_why_it_cannot(tmp_path: Path) -> None:
    new = a_docker(tmp_path / "new", "28.2.2")

    with pytest.raises(NoBuilder) as caught:
        find_engine(only(new), Builder.BUILDKIT)

    assert f"{new}/docker: BuildKit needs its plug-in buildx" in str(caught.value)


def test_without_any_command_the_error_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(NoBuilder, match="not on PATH") as caught:
        find_engine(only(str(tmp_path)))

    assert "install Docker Engine" in caught.value.hint


def test_two_names_of_one_program_are_one(tmp_path: Path) -> None:
    new = a_docker(tmp_path / "new", "28.2.2")
    (tmp_path / "link").symlink_to(new)

    with pytest.raises(NoBuilder) as caught:
        find_engine(only(new, str(tmp_path / "link")), Builder.BUILDKIT)

    assert len(caught.value.tail) == 1


def test_a_failed_build_shows_what_the_builder_said_last(tmp_path: Path) -> None:
    build = "seq 1 100; echo 'pull access denied for base'; exit 1"
    folder = a_docker(tmp_path / "one", "20.10.24", build=build)
    engine = Engine(f"{folder}/docker", Builder.CLASSIC, path_of(folder))

    with (tmp_path / "context").open("w+b") as context, pytest.raises(BuildError) as caught:
        engine.build(Order(context), _unheard, lambda: 0.0)

    assert caught.value.tail[-1] == "pull access denied for base"
    assert len(caught.value.tail) == 30
    assert "GYOZA_BASE_IMAGE" in caught.value.hint


def test_who_wrote_the_dockerfile_is_not_told_of_what_it_ignores(tmp_path: Path) -> None:
    build = "echo 'pull access denied for base'; exit 1"
    folder = a_docker(tmp_path / "one", "20.10.24", build=build)
    engine = Engine(f"{folder}/docker", Builder.CLASSIC, path_of(folder))

    with (tmp_path / "context").open("w+b") as context, pytest.raises(BuildError) as caught:
        engine.build(Order(context, is_own=True), _unheard, lambda: 0.0)

    assert "GYOZA_BASE_IMAGE" not in caught.value.hint
    assert "FROM" in caught.value.hint


def test_labels_and_arguments_reach_the_builder_as_they_are(tmp_path: Path) -> None:
    said = tmp_path / "said"
    build = (
        f'printf "%s\\n" "$@" >{said}; while [ "$1" != --iidfile ]; do shift; done; echo x >"$2"'
    )
    folder = a_docker(tmp_path / "one", "20.10.24", build=build)
    engine = Engine(f"{folder}/docker", Builder.BUILDKIT, path_of(folder))
    order = Order(
        context=(tmp_path / "context").open("w+b"),
        tag="hello:1",
        labels=(("org.gyoza.spec", '{"a": "$HOME"}'),),
        arguments={"BASE": "busybox"},
        uses_cache=False,
    )

    with order.context:
        image_id = engine.build(order, _unheard, lambda: 0.0)

    words = said.read_text().splitlines()
    assert image_id == "x"
    assert {'--label=org.gyoza.spec={"a": "$HOME"}', "--build-arg=BASE=busybox"} <= set(words)
    assert {"--no-cache", "hello:1"} <= set(words)


def _unheard(step: Step) -> None:
    raise AssertionError(f"no step was expected: {step}")
