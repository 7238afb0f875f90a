"""What is wrong with a project, without building it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from gyoza.testing.conformance.report import Finding, Status
from gyoza.testing.project_check import check_project

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = "from gyoza.op import op\n\n\n@op\ndef f(n: int) -> int:\n    return n\n"


def a_project(folder: Path, code: str = GOOD, more: str = "") -> dict[str, Finding]:
    (folder / "f.py").write_text(code)
    (folder / "gyoza.yml").write_text(f"id: f\nversion: 1.0.0\n{more}")
    report = check_project(folder, {"PATH": "/usr/bin:/bin"}, NOW)
    return {finding.check: finding for finding in report.findings}


def test_a_good_project_passes(tmp_path: Path) -> None:
    findings = a_project(tmp_path)

    assert {each.status for each in findings.values()} <= {Status.PASS, Status.SKIP}
    assert findings["declaration"].seen == "n -> result"


def test_an_unsupported_type_is_named_with_its_parameter(tmp_path: Path) -> None:
    code = "from gyoza.op import op\n@op\ndef f(n: complex, m) -> int: ...\n"

    finding = a_project(tmp_path, code)["code"]

    assert finding.status is Status.FAIL
    assert "n: " in finding.seen
    assert "complex" in finding.seen
    assert "m: has no type" in finding.seen


def test_a_contradiction_names_both_sides(tmp_path: Path) -> None:
    finding = a_project(tmp_path, more="inputs:\n  n: string\n")["agreement"]

    assert finding.status is Status.FAIL
    assert "gyoza.yml says string" in finding.seen
    assert "integer" in finding.seen


def test_a_wrong_file_is_told_with_its_lines(tmp_path: Path) -> None:
    finding = a_project(tmp_path, more="constraint: {cpu: 1}\n")["file"]

    assert finding.status is Status.FAIL
    assert "gyoza.yml:3" in finding.seen


def test_code_that_cannot_be_imported_shows_its_traceback(tmp_path: Path) -> None:
    finding = a_project(tmp_path, "import nowhere\n" + GOOD)["code"]

    assert "No module named 'nowhere'" in finding.seen


def test_a_package_that_is_missing_here_is_no_matter_of_types(tmp_path: Path) -> None:
    finding = a_project(tmp_path, "import nowhere\n" + GOOD)["code"]

    assert "types" not in finding.fix
    assert "install its packages" in finding.fix


def test_code_that_raises_on_import_is_no_matter_of_types(tmp_path: Path) -> None:
    finding = a_project(tmp_path, "1 / 0\n" + GOOD)["code"]

    assert finding.expected == "code that can be imported"
    assert "traceback" in finding.fix


def test_checking_writes_nothing_into_the_project(tmp_path: Path) -> None:
    a_project(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {"f.py", "gyoza.yml"}


def test_how_versions_are_fixed_depends_on_where_the_packages_are_named(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("six\n")
    by_requirements = a_project(tmp_path)["lock"]
    (tmp_path / "requirements.txt").unlink()
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname="f"\nversion="1"\ndependencies=["six"]'
    )
    by_project = a_project(tmp_path)["lock"]

    assert "`uv add -r requirements.txt`" in by_requirements.fix
    assert by_project.fix == "`uv lock` writes uv.lock"
