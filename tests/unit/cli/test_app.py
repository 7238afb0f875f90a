from __future__ import annotations

import importlib
import io
import subprocess
import sys

import pytest

from gyoza import __version__
from gyoza.cli.app import main
from gyoza.cli.context import Context, Streams
from gyoza.cli.verbs import NOUNS, VERBS, Verb, root_help

HEAVY = ("httpx2", "pydantic", "rich", "fastapi", "aiodocker", "sqlalchemy", "msgspec", "yaml")
LOADED = (
    "import sys; from gyoza.cli.app import main; main({words!r}); "
    "print(*sys.modules, file=sys.stderr)"
)


def loaded_by(*words: str) -> set[str]:
    code = LOADED.format(words=list(words))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    return {name.split(".")[0] for name in done.stderr.split()}


def run(*words: str) -> tuple[int, str, str]:
    streams = Streams(io.StringIO(), io.StringIO(), io.StringIO())
    code = main(words, Context(streams=streams, environment={}))
    return code, streams.stdout.getvalue(), streams.stderr.getvalue()  # type: ignore[attr-defined]


def test_the_page_of_help_loads_nothing_but_the_standard_library() -> None:
    loaded = loaded_by("--help")

    assert loaded & {*HEAVY, "typer"} == set()


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_the_help_of_a_verb_loads_nothing_heavy(verb: Verb) -> None:
    assert loaded_by(*verb.words, "--help") & set(HEAVY) == set()


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_the_page_of_help_says_of_a_verb_what_the_verb_says_itself(verb: Verb) -> None:
    command = importlib.import_module(verb.module).command

    assert command.__doc__.strip().splitlines()[0] == verb.summary
    assert f"  {verb.name} " in root_help()


def test_every_noun_has_words_and_every_group_a_noun() -> None:
    assert {verb.words[0] for verb in VERBS if len(verb.words) > 1} == set(NOUNS)


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_no_words_or_help_print_the_page(words: tuple[str, ...]) -> None:
    assert run(*words) == (0, root_help(), "")


def test_the_version_is_the_packages() -> None:
    assert run("--version") == (0, f"gyoza {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("frob",), "No such command 'frob'"),
        (("op", "lst"), "Did you mean 'list'?"),
        (("ps", "--limt", "3"), "--limit"),
        (("ps", "--limit", "x"), "valid integer"),
        (("show",), "Missing argument"),
        (("run",), "name one thing to run"),
        (("run", "a", "--image", "b"), "name one thing to run"),
        (("ps", "--state", "done"), "DONE is no state"),
        (("ps", "--tag", "x"), "not of the form key=value"),
        (("ps", "--url", "box"), "is not a server address"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_was_expected(
    words: tuple[str, ...], told: str
) -> None:
    code, out, err = run(*words)

    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err


def test_a_noun_alone_shows_its_verbs() -> None:
    code, _, err = run("op")

    assert code == 2
    assert "list" in err
    assert "show" in err


def test_python_m_gyoza_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gyoza", "-V"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert done.stdout == f"gyoza {__version__}\n"
