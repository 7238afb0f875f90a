"""Real builds: a base image with this machine's certificates, and running what was built."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gyoza.project.build_context import ContextFile, write_context
from tests.support.engine import require_engine

ROOT = Path(__file__).parents[3]
BASE = "gyoza-test/python:authors"
# Named by scripts/test; else what its base-image.sh makes.
PYTHON = os.environ.get("GYOZA_TEST_PYTHON_BASE", "gyoza-local/python:bookworm")  # noqa: TID251
SHELL = os.environ.get("GYOZA_TEST_SHELL_BASE", "gyoza-local/busybox:static")  # noqa: TID251
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
LIBRARIES = ("libstdc++.so.6", "libgcc_s.so.1")

Gyoza = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def base() -> str:
    """The Python base image, with the authorities that this machine trusts, and a C++ library.

    Without them an image cannot reach a package index behind a proxy of an organisation, and wheels
    with C++ in them do not load on the smallest of bases.
    """
    require_engine().close()
    additions = _additions()
    copies = [f"COPY {source.name} {target}" for source, target in additions]
    dockerfile = "\n".join([f"FROM {PYTHON}", *copies])
    context = io.BytesIO()
    write_context(
        {
            "Dockerfile": ContextFile(dockerfile.encode()),
            **{source.name: ContextFile(source) for source, _ in additions},
        },
        context,
    )
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", BASE, "-"],
        input=context.getvalue(),
        env={**os.environ, "DOCKER_BUILDKIT": "0"},  # noqa: TID251 - a real process needs a real one
        capture_output=True,
        check=True,
        timeout=120,
    )
    return BASE


def _additions() -> list[tuple[Path, str]]:
    added = [(CERTIFICATES, "/etc/ssl/certs/")] if CERTIFICATES.is_file() else []
    probe = f"import ctypes; [ctypes.CDLL(name) for name in {LIBRARIES!r}]"
    run = ["docker", "run", "--rm", "--entrypoint", "python3", PYTHON, "-c", probe]
    if subprocess.run(run, capture_output=True, check=False, timeout=60).returncode == 0:
        return added
    folder = Path("/usr/lib") / f"{os.uname().machine}-linux-gnu"
    return [*added, *((folder / name, f"{folder}/") for name in LIBRARIES)]


@pytest.fixture
def gyoza(base: str) -> Gyoza:
    """The command, as a process of its own, building on the test's base image."""

    def call(*words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "GYOZA_BASE_IMAGE": base}  # noqa: TID251
        return subprocess.run(
            [sys.executable, "-m", "gyoza", *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )

    return call


def run_image(
    image: str, folder: Path, inputs: dict[str, Any], files: dict[str, bytes]
) -> tuple[int, dict[str, Any], str]:
    """Run an op as a worker does: no network, nothing to write on but `out/`.

    Returns:
        Exit code, outputs, and what it printed.
    """
    (folder / "in" / "files").mkdir(parents=True)
    (folder / "out").mkdir()
    (folder / "out").chmod(0o777)
    for name, content in files.items():
        (folder / "in" / "files" / name).write_bytes(content)
    (folder / "in" / "input.json").write_text(json.dumps(inputs))
    (folder / "in" / "context.json").write_text("{}")
    for path in (folder, folder / "in", folder / "in" / "files"):
        path.chmod(0o755)
    mounts = ["-v", f"{folder}/in:/gyoza/in:ro", "-v", f"{folder}/out:/gyoza/out"]
    sandbox = ["--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
    done = subprocess.run(
        ["docker", "run", "--rm", *sandbox, *mounts, image],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    outputs = folder / "out" / "output.json"
    found = json.loads(outputs.read_text()) if outputs.is_file() else {}
    return done.returncode, found, done.stdout + done.stderr
