"""Files among inputs and outputs: found, uploaded once, replaced; names of strangers stay put."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from gyoza.client import FetchFailed, FileInput, _files
from gyoza.client._effects import Answer, FileFacts, HashFile, Send, Sleep, Spool, Spooled
from gyoza.client.files import find_reference, safe_name, with_file_refs
from gyoza.wire import strict_json
from gyoza.wire.messages import SubmitRun
from tests.support.run_documents import a_run
from tests.unit.client.hand_feeding import STEADY, Fed, json_answer

HASH = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def value(**more: Any) -> dict[str, Any]:
    facts = {"sha256": HASH, "size_bytes": 3, "media_type": "image/png", "name": "a.png"}
    return {"$artifact": {**facts, **more}}


def submitted(fed: Fed[Any]) -> Any:
    assert isinstance(fed.effect, Send)
    assert fed.effect.request.method == "POST"
    assert isinstance(fed.effect.request.body, bytes)
    return strict_json.loads(fed.effect.request.body)["inputs"]


def test_inputs_without_files_are_submitted_at_once() -> None:
    fed = Fed(_files.submit(SubmitRun(image="i", inputs={"a": [1, {"b": "x"}]}), "k", STEADY))

    assert submitted(fed) == {"a": [1, {"b": "x"}]}
    fed.give(json_answer(a_run().to_dict(), 201))
    assert fed.result.id == a_run().id


def test_a_path_anywhere_among_the_inputs_is_uploaded_once_and_replaced() -> None:
    inputs = {"a": Path("x/a.png"), "b": [{"c": Path("x/a.png")}], "d": "https://stays.text"}
    fed = Fed(_files.submit(SubmitRun(image="i", inputs=inputs), "k", STEADY))

    assert fed.effect == HashFile(Path("x/a.png"))
    fed.give(FileFacts(HASH, 3))
    fed.give(Answer(200))

    assert submitted(fed) == {"a": value(), "b": [{"c": value()}], "d": "https://stays.text"}


def test_bytes_and_given_names_and_types_are_kept() -> None:
    given = FileInput(b"abc", name="map.tif", media_type="image/tiff; application=geotiff")
    fed = Fed(_files.submit(SubmitRun(image="i", inputs={"a": given, "b": b"abc"}), "k", STEADY))

    fed.give(Answer(200))

    facts = submitted(fed)
    assert facts["a"] == value(name="map.tif", media_type="image/tiff; application=geotiff")
    assert facts["b"]["$artifact"]["name"] == "file"


@pytest.mark.parametrize("source", [io.BytesIO(b"abc"), "https://box/dir/a%20b.png?x=1"])
def test_what_can_be_read_once_only_is_copied_first(source: Any) -> None:
    fed = Fed(_files.upload(FileInput(source), None, STEADY))

    assert fed.effect == Spool(source)
    assert fed.give(Spooled(Path("copy"), "image/png")) == HashFile(Path("copy"))
    fed.give(FileFacts(HASH, 3))
    fed.give(Answer(200))

    name = "a b.png" if isinstance(source, str) else "file"
    assert fed.result == value(name=name)


def test_a_fetch_is_tried_again_only_when_that_may_help() -> None:
    passing = Fed(_files.upload(FileInput("https://box/a"), None, STEADY))
    lasting = Fed(_files.upload(FileInput("https://box/a"), None, STEADY))

    assert isinstance(passing.give(FetchFailed("late", may_pass=True)), Sleep)
    assert isinstance(passing.give(None), Spool)
    with pytest.raises(FetchFailed, match="404"):
        lasting.give(FetchFailed("404", may_pass=False))


def test_a_file_in_many_runs_of_a_batch_is_uploaded_once() -> None:
    content = b"abc"
    documents = [{"image": "i", "inputs": {"a": content}} for _ in range(3)]
    fed = Fed(_files.submit_batch(documents, "k", STEADY))

    fed.give(Answer(200))

    assert isinstance(fed.effect, Send)
    assert isinstance(fed.effect.request.body, bytes)
    runs = strict_json.loads(fed.effect.request.body)["runs"]
    assert [run["inputs"]["a"]["$artifact"]["sha256"] for run in runs] == [HASH] * 3


def test_every_file_of_a_value_is_replaced_and_nothing_else() -> None:
    outputs = {"a": value(), "b": [{"c": value()}, {"$artifact": "text"}], "d": 1}

    found = with_file_refs(outputs, lambda reference: reference.sha256)

    assert found == {"a": HASH, "b": [{"c": HASH}, {"$artifact": "text"}], "d": 1}
    assert outputs["a"] == value()


@pytest.mark.parametrize(
    "members",
    [{}, {"$artifact": {}}, {"$artifact": {"sha256": 1}}, {**value(), "more": 1}, {"a": value()}],
)
def test_an_object_that_describes_no_file_is_just_an_object(members: dict[str, Any]) -> None:
    assert find_reference(members) is None


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.png", "a.png"),
        ("tiles/0/1.png", "tiles/0/1.png"),
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("a/../../b", "a/b"),
        ("..\\..\\windows\\x", "windows/x"),
        ("C:\\x", "C:/x"),
        ("", "file"),
        ("..", "file"),
        (" . / .. ", "file"),
        ("a\x00b\x1b[31m\n", "a_b_[31m_"),
        ("x" * 300, "x" * 100),
    ],
)
def test_a_name_from_a_container_stays_where_it_is_put(name: str, safe: str) -> None:
    assert str(safe_name(name)) == safe
