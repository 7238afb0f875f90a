"""Sample inputs made up from specs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza.models import InputSpecs
from gyoza.op import Field, File, op
from gyoza.op.spec import derive
from gyoza.server.use_cases.json_schemas import value_faults
from gyoza.testing.conformance.sampling import NoSample, sample_inputs, wrong_inputs


@op
def wide(  # noqa: PLR0917 - one parameter per kind of type
    text: Annotated[str, Field(min_length=9)],
    count: Annotated[int, Field(ge=5, le=7)],
    share: Annotated[float, Field(gt=0, lt=0.5)],
    mode: Literal["a", "b"],
    pairs: list[tuple[int, str]],
    maybe: int | None,
    note: File,
    left_out: int = 3,
) -> None: ...


def specs_of(**specs: dict[str, Any]) -> InputSpecs:
    return InputSpecs.from_dict(specs)


def test_samples_are_what_the_schemas_take(tmp_path: Path) -> None:
    specs = InputSpecs.from_dict(derive(wide).to_dict()["input_specs"])

    inputs = sample_inputs(specs, tmp_path)

    assert set(inputs) == set(specs.specs) - {"left_out"}
    for name, value in inputs.items():
        plain = str(value) if isinstance(value, Path) else value
        assert value_faults(specs.specs[name].schema or {}, plain, "") == [], name


@given(least=st.integers(-50, 50), room=st.integers(0, 50))
def test_whole_numbers_lie_within_their_bounds(least: int, room: int) -> None:
    schema = {"type": "integer", "minimum": least, "maximum": least + room}
    specs = specs_of(n={"type": "integer", "schema": schema})

    assert least <= sample_inputs(specs, Path())["n"] <= least + room


def test_examples_go_before_everything_made_up(tmp_path: Path) -> None:
    schema = {"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["ABC"]}

    inputs = sample_inputs(specs_of(code={"type": "string", "schema": schema}), tmp_path)

    assert inputs == {"code": "ABC"}


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "string", "schema": {"type": "string", "pattern": "^[A-Z]{3}$"}},
        {"type": "geotiff"},
        {"type": "file", "schema": {"contentMediaType": "image/png"}},
    ],
    ids=["pattern", "opaque", "picture"],
)
def test_what_only_its_author_can_know_is_not_made_up(tmp_path: Path, spec: dict[str, Any]) -> None:
    with pytest.raises(NoSample, match="input scene"):
        sample_inputs(specs_of(scene=spec), tmp_path)


def test_a_missing_input_is_wrong_where_one_is_required() -> None:
    found = wrong_inputs(specs_of(a={"type": "string"}), {"a": "x"})

    assert found == ({}, "a is missing")


def test_a_wrong_type_is_wrong_where_nothing_is_required() -> None:
    found = wrong_inputs(specs_of(n={"type": "integer", "required": False, "default": 1}), {})

    assert found is not None
    assert found[0] == {"n": "not a number"}


@pytest.mark.parametrize("specs", [{}, {"x": {"type": "any", "required": False}}])
def test_where_everything_is_right_nothing_is_wrong(specs: dict[str, Any]) -> None:
    assert wrong_inputs(InputSpecs.from_dict(specs), {}) is None
