from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.inputs import parse_inputs
from gyoza.models import InputSpec

ARTIFACT = {"$artifact": {"sha256": "abc"}}
FILE = {"type": ["string", "object"], "format": "gyoza-file", "required": ["$artifact"]}
SIDES = {"type": "object", "properties": {"left": FILE, "note": {"type": "string"}}}
TYPES = {
    "text": "string",
    "n": "integer",
    "ratio": "float",
    "flag": "boolean",
    "box": "object",
    "list": "array",
    "tile": "file",
    "odd": "raster",
}
SPECS = {
    **{name: InputSpec(kind) for name, kind in TYPES.items()},
    "tiles": InputSpec("array", schema={"type": "array", "items": FILE}),
    "sides": InputSpec("object", schema=SIDES),
    "either": InputSpec("any", schema={"anyOf": [FILE, {"type": "integer"}]}),
}


def parsed(*pairs: str, file: Path | None = None, stdin: str = "") -> dict[str, Any]:
    return parse_inputs(
        pairs, file, SPECS, stdin=io.StringIO(stdin), upload=lambda path: {**ARTIFACT, "p": path}
    )


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("text=12", "12"),
        ("text=", ""),
        ("text=a=b", "a=b"),
        ("text=true", "true"),
        ("text=@@x", "@x"),
        ("n=12", 12),
        ("n=x", "x"),
        ("ratio=1.5", 1.5),
        ("flag=true", True),
        ('box={"a": 1}', {"a": 1}),
        ("list=[1, 2]", [1, 2]),
        ("tile=http://x/y.tif", "http://x/y.tif"),
        ('tile={"$artifact": {"sha256": "abc"}}', ARTIFACT),
        ("odd=5", 5),
        ("odd=five", "five"),
        ("undeclared=[1]", [1]),
        ("undeclared=word", "word"),
    ],
)
def test_a_word_is_read_as_its_declared_type_says(pair: str, value: object) -> None:
    assert list(parsed(pair).values()) == [value]


def sent(path: Path | str) -> dict[str, Any]:
    return {**ARTIFACT, "p": path}


@pytest.mark.parametrize(
    ("pairs", "value"),
    [
        (['tiles=["@a.png", "@b.png"]'], [sent(Path("a.png")), sent(Path("b.png"))]),
        (["tiles=@a.png"], [sent(Path("a.png"))]),
        (["tiles=@a.png", "tiles=@https://x/b"], [sent(Path("a.png")), sent("https://x/b")]),
        (['tiles=["@a.png"]', "tiles=@b.png"], [sent(Path("b.png"))]),
        (["tiles=@a.png", "tiles=[]"], []),
        (['sides={"left": "@a.png"}'], {"left": sent(Path("a.png"))}),
        (['sides={"left": "@@a", "note": "@b"}'], {"left": "@a", "note": "@b"}),
        (["either=@https://x/b"], sent("https://x/b")),
        (["either=5"], 5),
        (['box={"a": "@b.png"}'], {"a": "@b.png"}),
        (["tile=@@x"], "@x"),
    ],
)
def test_an_at_within_a_typed_value_is_a_file_where_the_op_declares_one(
    pairs: list[str], value: object
) -> None:
    assert list(parsed(*pairs).values()) == [value]


def test_an_at_that_nobody_typed_reads_no_file(tmp_path: Path) -> None:
    file = tmp_path / "inputs.json"
    file.write_text('{"tile": "@/etc/hostname", "tiles": ["@/etc/hostname"]}')
    whole = {"tile": "@/etc/hostname", "tiles": ["@/etc/hostname"]}

    assert parsed(file=file) == whole
    assert parsed("tiles=@-", stdin='["@/etc/hostname"]') == {"tiles": ["@/etc/hostname"]}


@pytest.mark.parametrize(
    ("pair", "hint"),
    [
        ("tile={}", "-i tile=@{}"),
        ('tiles=["{}"]', '"@{}"'),
        ('sides={{"left": "{}"}}', '"@{}"'),
        ("either={}", "-i either=@{}"),
    ],
)
def test_the_name_of_a_file_without_its_at_is_refused_with_what_to_type(
    tmp_path: Path, pair: str, hint: str
) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"png")

    with pytest.raises(CliError, match="takes a file") as refused:
        parsed(pair.format(file))

    assert refused.value.exit_code is ExitCode.INVALID
    assert hint.format(file) in refused.value.hint


def test_text_that_names_no_file_here_is_left_to_the_op() -> None:
    assert parsed("tile=/elsewhere/x.tif") == {"tile": "/elsewhere/x.tif"}


@pytest.mark.parametrize("name", ["tile", "undeclared"])
def test_an_address_after_an_at_is_fetched_and_stored(name: str) -> None:
    assert parsed(f"{name}=@https://box/a.tif")[name]["p"] == "https://box/a.tif"


def test_an_address_for_an_input_of_another_type_is_refused() -> None:
    with pytest.raises(CliError, match="declared as string") as refused:
        parsed("text=@https://box/a")

    assert refused.value.exit_code is ExitCode.INVALID


def test_a_file_is_read_as_text_json_or_uploaded_by_its_declared_type(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("[1]")

    assert parsed(f"text=@{file}") == {"text": "[1]"}
    assert parsed(f"list=@{file}") == {"list": [1]}
    assert parsed(f"tile=@{file}") == {"tile": {**ARTIFACT, "p": file}}


def test_a_dash_is_standard_input() -> None:
    assert parsed("text=@-", stdin="typed") == {"text": "typed"}


def test_pairs_go_over_the_file_of_inputs(tmp_path: Path) -> None:
    file = tmp_path / "inputs.json"
    file.write_text('{"text": "from file", "n": 1}')

    assert parsed("n=2", file=file) == {"text": "from file", "n": 2}


@pytest.mark.parametrize("content", ["[1]", "{", '{"a": NaN}', '{"a": 1, "a": 2}'])
def test_a_file_of_inputs_that_is_no_strict_object_is_invalid(tmp_path: Path, content: str) -> None:
    file = tmp_path / "inputs.json"
    file.write_text(content)

    with pytest.raises(CliError) as caught:
        parsed(file=file)

    assert caught.value.exit_code is ExitCode.INVALID


@pytest.mark.parametrize("pair", ["text", "=x"])
def test_a_word_without_name_or_value_is_wrong_usage(pair: str) -> None:
    with pytest.raises(CliError, match="name=value"):
        parsed(pair)


def test_broken_json_for_an_object_is_told_where_it_breaks() -> None:
    with pytest.raises(CliError, match="-i box: not JSON"):
        parsed("box={a}")


def test_bytes_for_a_text_input_are_refused_with_the_way_to_pass_them(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"\xff\xfe")

    with pytest.raises(CliError) as caught:
        parsed(f"text=@{file}")

    assert "type file" in caught.value.hint


def test_a_fault_in_standard_input_is_told_by_that_name() -> None:
    with pytest.raises(CliError, match=r"^standard input: expected a JSON object"):
        parse_inputs([], Path("-"), {}, stdin=io.StringIO("[1]"), upload=lambda _: {})
