"""`examples/wordcount` run as a process in a folder laid out like the one a worker mounts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

OP = Path(__file__).parents[3] / "examples" / "wordcount" / "wordcount.py"


def run_op(folder: Path, inputs: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    (folder / "in" / "input.json").write_text(json.dumps(inputs), encoding="utf-8")
    return subprocess.run(
        [sys.executable, str(OP)],
        env={"GYOZA_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_outputs_files_and_events_are_written_where_the_worker_reads_them(tmp_path: Path) -> None:
    inputs = {"text": "to be or not to be", "top": 1, "min_length": 1}

    ended = run_op(tmp_path, inputs)

    outputs = json.loads((tmp_path / "out" / "output.json").read_text(encoding="utf-8"))
    events = (tmp_path / "out" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert ended.returncode == 0
    assert outputs["top"] == [{"word": "be", "count": 2}]
    assert (tmp_path / "out" / outputs["histogram"]).is_file()
    assert json.loads(events[-1]) == {"type": "progress", "msg": 100}


def test_no_temporary_file_is_left_behind(tmp_path: Path) -> None:
    run_op(tmp_path, {"text": "one", "top": 1, "min_length": 1})

    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert names == {"output.json", "events.jsonl", "histogram.tsv"}


def test_inputs_that_can_never_work_end_with_the_exit_code_for_bad_input(tmp_path: Path) -> None:
    ended = run_op(tmp_path, {"text": "one", "top": -1, "min_length": 1})

    error = json.loads((tmp_path / "out" / "error.json").read_text(encoding="utf-8"))
    assert ended.returncode == 65
    assert error["retryable"] is False
    assert not (tmp_path / "out" / "output.json").exists()
