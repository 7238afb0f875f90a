"""A real image registry on this machine, with or without a password, for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support.stack import free_port

PROGRAM: Final = "docker-registry"  # Debian's name; the project calls it `registry`
USER: Final = "ada"
PASSWORD: Final = "secret"
# bcrypt of the password, at its lowest cost.
_HASH: Final = "$2b$04$pTKTGcQekaRvee3N1JlLyuLQFlVuZflSCAbo4ocq3t9kBWjS4CuXa"
_CONFIG: Final = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
http: {{addr: "127.0.0.1:{port}"}}
{auth}
"""
_AUTH: Final = "auth: {{htpasswd: {{realm: test, path: {folder}/users}}}}"


def require_registry() -> str:
    """The program, or: fail in CI, skip loudly elsewhere."""
    program = shutil.which(PROGRAM) or shutil.which("registry")
    if program:
        return program
    message = f"an image registry is needed: apt-get install {PROGRAM}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def a_registry(folder: Path, *, has_password: bool = False) -> Iterator[str]:
    """Run a registry; gives its `host:port`, which an engine takes without TLS."""
    program, port = require_registry(), free_port()
    folder.mkdir(exist_ok=True)
    (folder / "users").write_text(f"{USER}:{_HASH}\n")
    auth = _AUTH.format(folder=folder) if has_password else ""
    config = folder / "config.yml"
    config.write_text(_CONFIG.format(folder=folder, port=port, auth=auth))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "serve", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _until_it_answers(f"http://127.0.0.1:{port}/v2/")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _until_it_answers(url: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(200):
        try:
            opener.open(url, timeout=2).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            threading.Event().wait(0.05)
        else:
            return
    raise AssertionError(f"no registry answers at {url}")
