"""Put uv into a folder, with whatever Python an image has: runs inside image builds, never here.

The base image's own pip does it. Where there is none, pip is fetched from the package index and
run from its wheel, so that a base image needs nothing but Python.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

INDEX = "https://pypi.org/simple"
# PEP 691: the index as JSON.
JSON = "application/vnd.pypi.simple.v1+json"
RELEASE = re.compile(r"pip-[0-9.]+-py3-none-any\.whl")


def main(target: str) -> int:
    """Install uv under a folder; its program is in the folder's `bin`."""
    if shutil.which("uv"):
        return 0
    with tempfile.TemporaryDirectory() as folder:
        pip = ["-m", "pip"] if has_pip() else [f"{fetch_pip(Path(folder))}/pip"]
        options = ["--quiet", "--root-user-action=ignore", "--disable-pip-version-check"]
        command = [sys.executable, *pip, "install", *options, "--target", target, "uv"]
        return subprocess.run(command, check=False).returncode


def has_pip() -> bool:
    """Return whether this Python has pip."""
    command = [sys.executable, "-m", "pip", "--version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def fetch_pip(folder: Path) -> Path:
    """Download the newest release of pip and return its wheel."""
    index = os.environ.get("PIP_INDEX_URL", INDEX).rstrip("/")
    page = f"{index}/pip/"
    files: list[dict[str, Any]] = json.loads(read(page, JSON))["files"]
    wheels = [f for f in files if RELEASE.fullmatch(f["filename"]) and not f.get("yanked")]
    newest = max(wheels, key=lambda file: version(file["filename"]))
    content = read(urllib.parse.urljoin(page, newest["url"]))
    if hashlib.sha256(content).hexdigest() != newest["hashes"]["sha256"]:
        sys.exit(f"{newest['url']} does not have the hash that {page} gives it")
    wheel = folder / newest["filename"]
    wheel.write_bytes(content)
    return wheel


def version(filename: str) -> tuple[int, ...]:
    """Return the version in a wheel's name, to be compared."""
    return tuple(int(part) for part in filename.split("-")[1].split("."))


def read(url: str, accept: str = "*/*") -> bytes:
    """Return what an address serves."""
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=60) as answer:
        content: bytes = answer.read()
        return content


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
