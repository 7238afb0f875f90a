from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from gyoza.testing.projects import read_local_project

NOW = datetime(2031, 5, 4, tzinfo=UTC)
SCRIPT = """# /// script
# [tool.gyoza]
# constraints = {ram_mb = 64}
# ///
from gyoza.op import op


@op
def twice(n: int) -> int:
    return 2 * n
"""


def test_what_a_script_says_of_its_needs_holds_for_a_run_here_too(tmp_path: Path) -> None:
    file = tmp_path / "twice.py"
    file.write_text(SCRIPT)

    op = read_local_project(file).definition("gyoza-run/twice:1", {}, now=NOW)

    assert (op.id, op.constraints.ram_mb) == ("twice", 64)
