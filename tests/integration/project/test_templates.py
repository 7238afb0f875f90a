"""Every template of `gyoza init` builds, passes its own test and runs; run with -s to see it."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gyoza.project.scaffold import BUILT, TEMPLATES, TESTS
from tests.integration.project.conftest import ROOT, SHELL, Gyoza, run_image

pytestmark = [pytest.mark.system, pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]


def a_png(width: int, height: int) -> bytes:
    """A grey picture, as the PNG specification writes it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    rows = b"".join(b"\0" + bytes([128]) * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def a_scene(height: int, width: int) -> bytes:
    """Two bands of a meadow, as numpy's format writes them."""
    shape = f"{{'descr': '<f4', 'fortran_order': False, 'shape': (2, {height}, {width}), }}"
    header = shape.ljust(117) + "\n"
    pixels = struct.pack("<f", 0.1) * (height * width) + struct.pack("<f", 0.4) * (height * width)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + pixels


@dataclass
class Trial:
    """A run of a template's op: its inputs, and some of the outputs to expect."""

    inputs: dict[str, Any]
    outputs: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)
    test_with: tuple[str, ...] = ()


FLOWER = {"sepal_length": 5.0, "sepal_width": 3.4, "petal_length": 1.5, "petal_width": 0.2}
TRIALS = {
    "hello": Trial({"name": "Ada"}, {"result": "Hello, Ada!"}),
    "class-model": Trial(FLOWER, {"species": "setosa", "confidence": 1.0}),
    "image": Trial(
        {"picture": "/gyoza/in/files/p.png", "size": 50},
        {"width": 50, "height": 25, "small": "files/small.png"},
        {"p.png": a_png(100, 50)},
        ("--no-project", "--with-requirements", "requirements.txt"),
    ),
    "geo-raster": Trial(
        {"scene": "/gyoza/in/files/s.npy"},
        {"green_share": 1.0, "index": "files/ndvi.npy"},
        {"s.npy": a_scene(300, 20)},
        ("--frozen",),
    ),
    "shell": Trial({"text": "words"}, {"bytes": 5}),
    "single-file": Trial(
        {"text": "# One\n\nTwo *three*.\n"},
        {"headings": ["One"], "links": [], "words": 4},
        {},
        ("--no-project", "--with-requirements", "textstats.py"),
    ),
}


def own_test(template: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a project's own test as its README says, with this checkout's gyoza."""
    command = TESTS.get(template, "").split() or [sys.executable, "-m", "pytest", "-q"]
    if TRIALS[template].test_with:
        uv = ["uv", "run", "--quiet", "--python", sys.executable, "--with", "pytest"]
        command = [*uv, *TRIALS[template].test_with, "python", "-m", "pytest", "-q"]
    # This checkout's environment stays out of the projects' own.
    kept = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}  # noqa: TID251
    return subprocess.run(
        command,
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_builds_passes_its_own_test_and_runs(
    template: str, gyoza: Gyoza, tmp_path: Path
) -> None:
    trial, folder = TRIALS[template], tmp_path / "project"
    tag = f"gyoza-test/template-{template}:1"
    assert gyoza("init", str(folder), "-t", template, "--name", f"my-{template}").returncode == 0

    tested = own_test(template, folder)
    options = ["--tag", tag, "--json", *(["--base", SHELL] if template == "shell" else [])]
    built = gyoza("build", str(folder / BUILT.get(template, "")), *options)

    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert built.returncode == 0, built.stderr
    code, outputs, printed = run_image(tag, tmp_path / "run", trial.inputs, trial.files)
    assert code == 0, printed
    assert {name: outputs.get(name) for name in trial.outputs} == trial.outputs
    facts = json.loads(built.stdout)
    print(  # noqa: T201 - what was built is for people to see
        f"{template}: own test passed ({tested.stdout.strip().splitlines()[-1]});"
        f" {facts['size_bytes'] / 1e6:.0f} MB in {facts['seconds']:.0f} s; ran: {outputs}"
    )
