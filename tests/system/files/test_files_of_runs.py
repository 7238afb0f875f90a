"""Files into and out of runs, through a real server, a real worker and real containers."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gyoza.client import GyozaClient
from gyoza.models import OpDefinition, OpRun
from gyoza.op.files import file_schema
from tests.support.engine import busybox_image, require_engine
from tests.support.stack import Stack

pytestmark = [pytest.mark.system, pytest.mark.docker, pytest.mark.timeout(120)]

A_FILE = file_schema()
MARKED = '{"pages": ["files/one", "files/two"], "by_name": {"third": "three"}, "note": "files/one"}'


@dataclass(frozen=True)
class Lab:
    stack: Stack
    client: GyozaClient
    image: str

    def op(self, name: str, script: str, outputs: dict[str, Any] | None = None) -> None:
        self.client.upsert_definition(
            OpDefinition.from_dict(
                {
                    "id": name,
                    "version": "1",
                    "image": self.image,
                    "input_specs": {"files": {"type": "object"}},
                    "output_specs": outputs or {},
                    "execution": {"command": ["sh", "-c", f"cd $GYOZA_DIR; {script}"]},
                }
            )
        )

    def file(self, content: bytes, folder: Path, name: str = "a") -> dict[str, Any]:
        path = folder / hashlib.sha256(content).hexdigest()
        path.write_bytes(content)
        stored = self.client.put_artifact(path)
        members = {"sha256": stored.sha256, "size_bytes": len(content), "name": name}
        return {"$artifact": members}

    def stored(self, content: bytes) -> list[Path]:
        """Where the server keeps a file."""
        paths = (self.stack.folder / "data" / "artifacts").rglob("*")
        return [path for path in paths if path.is_file() and path.read_bytes() == content]

    def until(self, run_id: str, has_come: Callable[[OpRun], bool]) -> OpRun:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            run = self.client.get_run(run_id)
            if has_come(run):
                return run
            time.sleep(0.1)
        raise AssertionError(f"not within a minute: {self.client.get_run(run_id).to_dict()}")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    engine = require_engine()
    with Stack(tmp_path_factory.mktemp("files")) as stack, stack.client() as client:
        yield Lab(stack, client, busybox_image(engine))
    engine.close()


def test_a_wrong_hash_fails_the_attempt_as_input_corrupt_uncharged(
    lab: Lab, tmp_path: Path
) -> None:
    content = b"what the caller sent\n"
    reference = lab.file(content, tmp_path)
    (kept,) = lab.stored(content)
    kept.chmod(0o644)
    kept.write_bytes(b"what the disk made of it")
    lab.op("corrupt", "cat in/files/*/* && echo '{}' > out/output.json")

    run = lab.client.create_run_from_definition("corrupt", {"files": {"text": reference}})
    first = lab.until(run.id, lambda each: each.attempts[0].state == "FAILED").attempts[0]
    lab.client.cancel_run(run.id)

    assert (first.reason, first.charged) == ("INPUT_CORRUPT", False)


def test_files_nested_in_inputs_and_outputs_arrive(lab: Lab, tmp_path: Path) -> None:
    lab.op(
        "nested",
        "mkdir -p out/files; n=0; for f in one two three; do cat in/files/*/$f > out/files/$f;"
        f" done; echo '{MARKED}' > out/output.json",
        {
            "pages": {"type": "array", "schema": {"items": A_FILE}},
            "by_name": {"type": "object", "schema": {"additionalProperties": A_FILE}},
            "note": {"type": "string"},
        },
    )
    contents = {name: f"this is {name}\n".encode() for name in ("one", "two", "three")}
    files = {name: lab.file(each, tmp_path, f"../{name}") for name, each in contents.items()}

    run = lab.client.run("nested", {"files": {"few": [files["one"], files["two"]], "x": files}})
    outputs = run.wait(timeout=60).outputs

    def read(value: dict[str, Any]) -> bytes:
        return lab.client.read_artifact(value["$artifact"]["sha256"])

    assert [read(page) for page in outputs["pages"]] == [contents["one"], contents["two"]]
    assert read(outputs["by_name"]["third"]) == contents["three"]
    assert outputs["note"] == "files/one"


def test_an_op_can_change_neither_its_inputs_nor_what_the_worker_keeps_of_them(
    lab: Lab, tmp_path: Path
) -> None:
    content = b"to be read by all\n"
    reference = lab.file(content, tmp_path)
    attacks = (
        "for f in in/files/*/*; do echo x > $f; echo x >> $f; chmod 777 $f; rm -f $f;"
        " mv $f out/stolen; ln $f out/linked; echo x > out/linked;"
        " exec 5< $f; echo x > /proc/self/fd/5; done; touch in/x in/files/x;"
    )
    lab.op("thief", f"{{ {attacks} }} 2>/dev/null; cat in/files/*/*; echo '{{}}' > out/output.json")

    for _ in range(2):
        run = lab.client.run("thief", {"files": {"text": reference}}).wait(timeout=60)
        assert run.state == "COMPLETED", run.execution_summary

    sha256 = reference["$artifact"]["sha256"]
    assert (lab.stack.worker_state / "files" / sha256).read_bytes() == content


def test_a_worker_killed_while_it_fetches_goes_on_with_the_file(lab: Lab, tmp_path: Path) -> None:
    content = b"0123456789" * 100_000
    reference = lab.file(content, tmp_path)
    sha256 = reference["$artifact"]["sha256"]
    # Whoever asked for the beginning again would get other bytes.
    (kept,) = lab.stored(content)
    kept.chmod(0o644)
    with kept.open("r+b") as damaged:
        damaged.write(b"damaged")
    lab.stack.kill("worker")
    folder = lab.stack.worker_state / "files"
    folder.mkdir(exist_ok=True)
    (folder / f"{sha256}.part").write_bytes(content[:300_000])
    lab.op("sized", "wc -c in/files/*/* 1>&2; echo '{}' > out/output.json")
    lab.stack.start_worker()

    run = lab.client.run("sized", {"files": {"text": reference}}).wait(timeout=60)

    assert run.state == "COMPLETED", run.execution_summary
    assert (folder / sha256).read_bytes() == content
