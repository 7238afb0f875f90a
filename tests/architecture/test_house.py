"""The files around the code keep the promises that CONTRIBUTING makes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRAGMENT = re.compile(r"[+\w][\w.-]*\.(added|changed|fixed|removed|security)(\.\d+)?\.md")
DECISION = re.compile(r"\d{4}-[a-z0-9-]+\.md")
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
SCRIPTS = sorted(
    path
    for path in [*ROOT.glob("scripts/*"), *ROOT.glob("scripts/lib/*.sh"), *ROOT.glob(".ci/*")]
    if path.is_file() and path.suffix != ".py"
)


def test_every_change_fragment_is_named_so_that_the_change_log_takes_it() -> None:
    names = {path.name for path in (ROOT / "changes").iterdir()} - {"README.md"}

    assert {name for name in names if FRAGMENT.fullmatch(name) is None} == set()


def test_decisions_are_numbered_once_each() -> None:
    names = sorted(path.name for path in (ROOT / "docs" / "decisions").iterdir())

    numbers = [name[:4] for name in names]
    assert [name for name in names if DECISION.fullmatch(name) is None] == []
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    links = LINK.findall(document.read_text(encoding="utf-8"))

    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_shell_scripts_are_well_formed(script: Path) -> None:
    checked = subprocess.run(
        ["bash", "-n", str(script)], capture_output=True, text=True, timeout=30, check=False
    )

    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_page_of_settings_is_what_the_code_says() -> None:
    generated = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "settings_reference.py")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert page == generated.stdout, "run `uv run just docs`"
