from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import pydantic
import pytest

from gyoza.op import File, OutputError
from gyoza.op.encode import encode
from gyoza.op.hints import HintReader
from gyoza.op.output_files import OutputFiles


@dataclass
class Tile:
    x: float


class Colour(enum.Enum):
    RED = "red"


class Scene(pydantic.BaseModel):
    name: str
    image: File


def encoded(hint: Any, value: Any, keep: Any = None) -> Any:
    keep = keep or (lambda path, _: os.fspath(path))
    return encode(HintReader().shape(hint), value, ("result",), keep)


@pytest.mark.parametrize(
    ("hint", "value", "words"),
    [
        (float, float("nan"), "/result: got nan, which JSON cannot hold"),
        (list[Tile], [Tile(1), Tile(float("inf"))], "/result/1/x: got inf"),
        (int, True, "/result: got true, expected int"),
        (int, 2**63, "beyond 64 bits; return it as str"),
        (str, "a\x00", "holds NUL"),
        (Literal["a"], "b", "/result: got 'b', expected one of 'a'"),
        (date, datetime(2026, 1, 1), "expected date"),  # noqa: DTZ001
        (dict[str, int], {1: 1}, "write str"),
        (Any, {"a": object()}, "/result/a: got object"),
        (int | None, "a", "fits none of its types"),
        (File, 3, "expected a File or a path"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_place(hint: Any, value: Any, words: str) -> None:
    with pytest.raises(OutputError) as caught:
        encoded(hint, value)

    assert words in str(caught.value)


def test_undeclared_values_are_written_by_their_own_types() -> None:
    value = {"d": date(2026, 1, 1), "t": Tile(1), "c": Colour.RED, "s": {"b", "a"}, "n": (1, None)}

    assert encoded(Any, value) == {
        "d": "2026-01-01",
        "t": {"x": 1},
        "c": "red",
        "s": ["a", "b"],
        "n": [1, None],
    }


class Boxed:
    """What arrays and scalars of NumPy and PyTorch have in common."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain

    def tolist(self) -> Any:
        return self._plain


def test_arrays_and_their_scalars_are_written_as_plain_values() -> None:
    assert encoded(list[float], Boxed([1.5, 2.0])) == [1.5, 2.0]
    assert encoded(int, Boxed(3)) == 3
    assert encoded(Any, {"a": Boxed([True])}) == {"a": [True]}


class TestFiles:
    def test_a_file_elsewhere_is_copied_under_out_files(self, tmp_path: Path) -> None:
        source = tmp_path / "in" / "a.txt"
        source.parent.mkdir()
        source.write_text("a")
        os.link(source, tmp_path / "second-name")  # an input that must stay

        path = encoded(File, File(source), OutputFiles(tmp_path / "out").keep)

        assert path == "files/a.txt"
        assert (tmp_path / "out" / path).read_text() == "a"
        assert source.exists()

    def test_a_file_that_is_there_already_stays(self, tmp_path: Path) -> None:
        made = tmp_path / "out" / "files" / "sub" / "a.txt"
        made.parent.mkdir(parents=True)
        made.write_text("a")

        assert encoded(Path, made, OutputFiles(tmp_path / "out").keep) == "files/sub/a.txt"

    def test_a_temporary_file_is_moved_once_however_often_it_is_returned(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        source = tmp_path / "work" / "a.txt"
        source.parent.mkdir()
        source.write_text("a")
        files = OutputFiles(tmp_path / "out")

        paths = [files.keep(source, ("first",))]

        assert paths == ["files/a.txt"]
        assert not source.exists()

    def test_files_of_one_name_get_names_by_their_outputs(self, tmp_path: Path) -> None:
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "x.tar.gz").write_text(folder)
        files = OutputFiles(tmp_path / "out")

        kept = [files.keep(tmp_path / "a" / "x.tar.gz", ("one",))]
        kept.append(files.keep(tmp_path / "b" / "x.tar.gz", ("two",)))

        assert kept == ["files/x.tar.gz", "files/x-two.tar.gz"]

    def test_a_link_is_replaced_by_what_it_leads_to(self, tmp_path: Path) -> None:
        (tmp_path / "out" / "files").mkdir(parents=True)
        (tmp_path / "real").write_text("r")
        link = tmp_path / "out" / "files" / "link"
        link.symlink_to(tmp_path / "real")

        kept = OutputFiles(tmp_path / "out").keep(link, ("one",))

        assert kept == "files/link-one"
        assert not (tmp_path / "out" / kept).is_symlink()

    @pytest.mark.parametrize(("name", "words"), [("none", "write it before"), (".", "a folder")])
    def test_what_is_no_file_is_refused_by_output(
        self, tmp_path: Path, name: str, words: str
    ) -> None:
        with pytest.raises(OutputError, match=f"/result: .*{words}"):
            encoded(File, tmp_path / name, OutputFiles(tmp_path / "out").keep)

    def test_a_file_within_a_model_is_kept_too(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(b"p")
        scene = Scene(name="s", image=File(tmp_path / "a.png"))

        found = encoded(Scene, scene, OutputFiles(tmp_path / "out").keep)

        assert found == {"name": "s", "image": "files/a.png"}

    @pytest.mark.parametrize("wrap", [lambda f: f, lambda f: [f], lambda f: {"a": f}])
    def test_a_file_where_anything_may_be_is_refused_since_nobody_would_find_it(
        self, tmp_path: Path, wrap: Any
    ) -> None:
        scene = Scene(name="s", image=File(tmp_path / "a.png"))
        for value in (File(tmp_path / "a.png"), tmp_path / "a.png", scene):
            with pytest.raises(OutputError, match="declare it, for example as"):
                encoded(Any, wrap(value))
