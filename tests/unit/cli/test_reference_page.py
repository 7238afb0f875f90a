from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_page_of_the_command_is_what_the_verbs_say() -> None:
    generated = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "cli_reference.py")],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert page == generated.stdout, "run `python scripts/cli_reference.py > docs/reference/cli.md`"
