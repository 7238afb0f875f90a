from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from gyoza.models import Constraints, Execution, InputSpecs, OutputSpecs, RetryPolicy
from gyoza.op import Context, Field, File, Image, SpecError, Table, op
from gyoza.op.file_places import mentions_files
from gyoza.op.spec import derive


class Stats(NamedTuple):
    """What was counted.

    Attributes:
        rows: How many rows.
        overlay: Drawn over the scene.
    """

    rows: int
    overlay: Image


class Found(TypedDict):
    count: int
    note: NotRequired[str]


@dataclass
class Frame:
    image: File


@op(cpu=2, ram="2GiB", vram="8GB", timeout="10m", retries=2, network=True, disk="1 GiB", grace=20)
def ndvi(
    scene: Annotated[File, Field(description="GeoTIFF", media="image/tiff")],
    context: Context,  # noqa: ARG001 - a signature is what is read here
    scale: Annotated[float, Field(gt=0, le=8)] = 1.0,
    palette: Literal["viridis", "grey"] = "viridis",  # noqa: ARG001
    mask: Image | None = None,  # noqa: ARG001
    limit: int = None,  # type: ignore[assignment]  # noqa: ARG001, RUF013 - people write it
) -> Stats:
    """Vegetation index of one scene.

    Reads red and near infrared.

    Args:
        scale: Factor of
            enlargement.
        palette (str): Colours.

    Returns:
        The index.
    """
    return Stats(int(scale), Image(scene))


def spec_of(target: Any) -> dict[str, Any]:
    return derive(target).to_dict()


def test_specs_are_what_the_models_read_and_write_word_for_word() -> None:
    spec = spec_of(ndvi)

    assert InputSpecs.from_dict(spec["input_specs"]).to_dict() == spec["input_specs"]
    assert OutputSpecs.from_dict(spec["output_specs"]).to_dict() == spec["output_specs"]
    assert json.loads(json.dumps(spec)) == spec


def test_what_an_op_needs_is_said_in_the_words_of_a_definition() -> None:
    spec = spec_of(ndvi)

    assert Constraints.from_dict(spec["constraints"]) == Constraints(2, 2048, 7630)
    assert RetryPolicy.from_dict(spec["retry_policy"]).max_attempts == 3
    execution = Execution.from_dict(spec["execution"])
    assert (execution.timeouts.run_s, execution.grace_s) == (600, 20)
    assert (execution.network, execution.disk_mb) == (True, 1024)


def test_inputs_have_types_defaults_and_descriptions_and_no_context() -> None:
    inputs = spec_of(ndvi)["input_specs"]

    assert list(inputs) == ["scene", "scale", "palette", "mask", "limit"]
    assert [each["type"] for each in inputs.values()] == [
        "file",
        "float",
        "string",
        "file",
        "integer",
    ]
    assert [each["required"] for each in inputs.values()] == [True, False, False, False, False]
    assert [each["default"] for each in inputs.values()] == [None, 1.0, "viridis", None, None]
    assert inputs["scene"]["description"] == "GeoTIFF"
    assert inputs["scene"]["schema"]["contentMediaType"] == "image/tiff"
    assert inputs["scale"]["description"] == "Factor of enlargement."
    assert inputs["palette"]["description"] == "Colours."


def test_the_first_line_is_the_title_and_the_rest_the_description() -> None:
    spec = spec_of(ndvi)

    assert spec["title"] == "Vegetation index of one scene."
    assert spec["description"] == "Reads red and near infrared."


def test_numpy_sections_describe_as_well() -> None:
    def counted(rows: int, names: list[str]) -> int:
        """Count.

        Parameters
        ----------
        rows : int
            How many rows.
        names
            Of the
            columns.

        Returns
        -------
        int
            The count.
        """
        return rows + len(names)

    spec = spec_of(counted)

    assert spec["input_specs"]["rows"]["description"] == "How many rows."
    assert spec["input_specs"]["names"]["description"] == "Of the columns."
    assert spec["output_specs"]["result"]["description"] == "The count."


def test_members_of_a_returned_class_are_the_outputs() -> None:
    outputs = spec_of(ndvi)["output_specs"]

    assert {name: each["type"] for name, each in outputs.items()} == {
        "rows": "integer",
        "overlay": "file",
    }
    assert outputs["rows"]["description"] == "How many rows."


def test_an_output_that_may_stay_away_may_be_null() -> None:
    def find() -> Found:
        return {"count": 0}

    derived = derive(find)

    assert derived.to_dict()["output_specs"]["note"]["type"] == "any"
    encoded = derived.result.encode({"count": 1}, lambda path, _: str(path))
    assert encoded == {"count": 1, "note": None}


def test_nothing_returned_means_no_outputs() -> None:
    def silent() -> None: ...

    assert spec_of(silent)["output_specs"] == {}


@pytest.mark.parametrize(
    "hint", [Iterator[int], AsyncIterator[int], Generator[int, None, None]], ids=str
)
def test_a_stream_is_collected_into_a_list(hint: Any) -> None:
    def stream() -> Any: ...

    stream.__annotations__["return"] = hint

    spec = spec_of(stream)

    assert spec["streams"]
    assert spec["output_specs"]["result"]["schema"] == {
        "type": "array",
        "items": {"type": "integer"},
    }


def test_what_a_generator_returns_at_its_end_counts_over_what_it_yielded() -> None:
    def stream() -> Generator[int, None, Stats]:
        yield 1
        return Stats(1, Image("a.png"))

    spec = spec_of(stream)

    assert (spec["streams"], list(spec["output_specs"])) == (True, ["rows", "overlay"])


def test_a_class_is_an_op_by_its_run() -> None:
    @op
    class Model:
        """Finds things."""

        def setup(self) -> None: ...

        def run(self, text: str, context: Context) -> int:
            """Run it.

            Args:
                text: To search.
            """
            return len(text)

    spec = spec_of(Model)

    assert spec["title"] == "Finds things."
    assert list(spec["input_specs"]) == ["text"]
    assert spec["input_specs"]["text"]["description"] == "To search."


def test_everything_wrong_with_a_signature_is_said_at_once_with_the_nearest_type() -> None:
    array = type("ndarray", (), {"__module__": "numpy"})

    def wrong(  # noqa: ANN202 - as wrong as it can be
        a: complex,
        b: dict[int, str],
        c: set[list[int]],
        d,  # type: ignore[no-untyped-def]  # noqa: ANN001
        e: Annotated[str, Field(gt=1)],
        f: File | str,
        *args: int,
        g: int = "one",  # type: ignore[assignment]
        h: Callable[[], None],
        i: Any,
        **kwargs: str,
    ): ...  # type: ignore[no-untyped-def]

    wrong.__annotations__["i"] = array

    with pytest.raises(SpecError) as caught:
        derive(wrong)

    said = {problem.pointer: problem.message for problem in caught.value.problems}
    assert list(said) == ["a", "b", "c", "d", "e", "f", "args", "g", "h", "i", "kwargs", "return"]
    assert said["a"] == "type complex is not supported; use tuple[float, float]"
    assert "use dict[str, str]" in said["b"]
    assert "use list[list[int]]" in said["c"]
    assert "annotate it, for example d: str" in said["d"]
    assert "Field(gt=1) does not apply here; it applies to int and float" in said["e"]
    assert "a file travels as text" in said["f"]
    assert "default does not fit" in said["g"]
    assert "Literal" in said["h"]
    assert "list[float], or File" in said["i"]
    assert "-> None" in said["return"]


def test_a_type_that_only_a_function_knows_is_refused_with_the_way_out() -> None:
    @dataclass
    class Hidden:
        x: int

    def local(x: Hidden) -> None: ...

    with pytest.raises(SpecError, match="move both to the top of the module") as caught:
        derive(local)

    assert caught.value.problems[0].pointer == "x"


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (Field(gt=5, lt=5), "no number can keep all of gt=5, lt=5"),
        (Field(ge=float("nan")), "expected a finite number"),
    ],
)
def test_bounds_that_nothing_can_keep_are_refused(bounds: Field, words: str) -> None:
    def bounded(x: Any) -> None: ...

    bounded.__annotations__["x"] = Annotated[int, bounds]

    with pytest.raises(SpecError, match=words):
        derive(bounded)


def test_a_file_in_the_image_may_be_a_default() -> None:
    def with_model(model: Path = Path("/models/a.bin"), table: Table | None = None) -> None: ...

    inputs = spec_of(with_model)["input_specs"]

    assert inputs["model"]["default"] == "/models/a.bin"
    Draft202012Validator(inputs["model"]["schema"]).validate("/models/a.bin")


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ({"ram": "two"}, "expected a size"),
        ({"timeout": "soon"}, "expected a duration"),
        ({"cpu": 0}, "cpu=0: expected a whole number from 1"),
        ({"retries": -1}, "retries=-1: expected a whole number from 0"),
    ],
)
def test_needs_that_cannot_be_read_are_refused_where_they_are_written(
    needs: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        op(**needs)


@dataclass
class Masked:
    mask: File


@dataclass
class Named:
    mask: str


@dataclass
class Kept:
    kind: Literal["kept"]
    value: File


@dataclass
class Told:
    kind: Literal["told"]
    value: str


class Modelled(BaseModel):
    kind: Literal["modelled"] = "modelled"
    value: File


@pytest.mark.parametrize(
    "hint",
    [
        list[File],
        dict[str, list[Image]],
        File | None,
        list[File | None],
        tuple[str, File],
        set[File],
        Frame,
        list[Frame],
        Frame | None,
        File | Image,
        File | int,
        File | list[str],
        Frame | Masked,
        Kept | Told,
        Modelled,
        Modelled | Kept,
        Modelled | Told | None,
    ],
    ids=str,
)
def test_files_may_be_anywhere_in_inputs_and_outputs(hint: Any) -> None:
    def takes(value: Any) -> Any: ...

    takes.__annotations__ = {"value": hint, "return": hint}

    assert mentions_files(derive(takes).to_dict())


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (File | str, "a file travels as text"),
        (list[Image | UUID], "a file travels as text"),
        (dict[str, File | Literal["none"]], "a file travels as text"),
        (File | Any, "a file travels as text"),
        (Masked | Named, r"look alike \(Masked and Named\); give each a member"),
        (Frame | dict[str, str], "look alike"),
        (list[File] | list[str], "look alike"),
    ],
    ids=str,
)
@pytest.mark.parametrize("side", ["value", "return"])
def test_a_file_that_could_be_taken_for_something_else_is_refused(
    hint: Any, words: str, side: str
) -> None:
    def takes(value: Any) -> Any: ...

    takes.__annotations__ = {"value": int, "return": int, side: hint}

    with pytest.raises(SpecError, match=f"{side}: .*{words}"):
        derive(takes)
