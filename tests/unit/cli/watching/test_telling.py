"""What the edit loop says of a save."""

from __future__ import annotations

import io
import json

import pytest

from gyoza.cli.output import Output
from gyoza.cli.watching.telling import Telling, differences
from gyoza.cli.watching.updates import Deployed, Refused
from gyoza.models import OpDefinition
from gyoza.project.development import Fault


def an_op(version: str = "0.1.0-dev.1", image: str = "a:1", **inputs: str) -> OpDefinition:
    specs = {name: {"type": kind} for name, kind in (inputs or {"text": "string"}).items()}
    return OpDefinition.create("greet", version, image, specs)


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def telling(out: io.StringIO, *, as_json: bool = False) -> Telling:
    return Telling(Output(out, io.StringIO(), as_json=as_json))


def test_versions_with_other_names_and_images_do_not_differ() -> None:
    assert differences(an_op(), an_op("0.1.0-dev.2", "b:1")) == []


def test_a_new_op_differs_from_nothing() -> None:
    assert differences(None, an_op()) == []


def test_a_changed_input_is_told_as_it_was_and_as_it_is() -> None:
    before, after = an_op(text="string", size="integer"), an_op(text="string", size="float")

    assert differences(before, after) == ["~ inputs.size: integer -> float"]


def test_a_save_is_told_with_its_latency_and_what_was_built(out: io.StringIO) -> None:
    told = Deployed(an_op(), None, was_built=False)

    telling(out).deployed(told, 0.61, is_save=True)

    said = "greet 0.1.0-dev.1 is deployed, 610 ms after the save (nothing to build)\n"
    assert out.getvalue() == said


def test_the_first_version_is_told_with_the_command_that_runs_it(out: io.StringIO) -> None:
    telling(out).deployed(Deployed(an_op(), None, was_built=True), 3.0, is_save=False)

    assert "3 s after the start (image built)" in out.getvalue()
    assert "run it: gyoza run greet -i text=..." in out.getvalue()


def test_a_refusal_names_the_place_and_the_version_that_stays(out: io.StringIO) -> None:
    fault = Fault("greet.py:3: SyntaxError: invalid syntax", ("def (",))

    telling(out).refused("ops/greet", Refused(fault, "0.1.0-dev.1"))

    assert out.getvalue().splitlines() == [
        "error: ops/greet: greet.py:3: SyntaxError: invalid syntax",
        "  | def (",
        "  0.1.0-dev.1 stays",
    ]


def test_programs_get_one_line_of_json_each(out: io.StringIO) -> None:
    said = telling(out, as_json=True)

    said.deployed(Deployed(an_op(), None, was_built=False), 0.5, is_save=True)
    said.refused("greet", Refused(Fault("no"), None))

    first, second = map(json.loads, out.getvalue().splitlines())
    assert (first["op"], first["seconds"], first["changes"]) == ("greet", 0.5, [])
    assert second == {"path": "greet", "error": "no", "lines": [], "kept": None}
