"""Images for the tests of the author's tools: a script or a program on nothing but busybox."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from tests.support.engine import Engine

NAME: Final = "gyoza-test/author"
LABEL: Final = "org.gyoza.spec"
BUSYBOX: Final = Path("/bin/busybox")
_APPLETS: Final = (
    *("sh", "awk", "cat", "cut", "dd", "echo", "grep", "head", "id", "ln", "mkdir", "mv", "rm"),
    *("sed", "sha256sum", "sleep", "tail", "tr", "true", "wc", "yes", "cp", "chmod", "ps"),
)
_OPEN_TO_ALL: Final = "opt"
_FOLDERS: Final = (_OPEN_TO_ALL, "tmp", "var", "op", "gyoza", "gyoza/in", "gyoza/out", "etc")


def shell_image(
    engine: Engine, name: str, script: str, spec: Mapping[str, Any] | None = None
) -> str:
    """An image that runs a script, with a spec in its label if one is given."""
    files = {"op/op.sh": (script.encode(), 0o644)}
    return program_image(engine, name, files, ["/bin/sh", "/op/op.sh"], spec)


def program_image(
    engine: Engine,
    name: str,
    files: Mapping[str, tuple[bytes, int]],
    command: Sequence[str],
    spec: Mapping[str, Any] | None = None,
) -> str:
    """An image with busybox and these files (content and mode) that runs a command."""
    changes = [f"CMD {json.dumps(list(command))}"]
    if spec is not None:
        changes.append(f"LABEL {LABEL}={json.dumps(json.dumps(spec))}")
    query = [("fromSrc", "-"), ("repo", NAME), ("tag", name)]
    query += [("changes", change) for change in changes]
    status, answer = engine.call("POST", f"/images/create?{urlencode(query)}", raw=_tar(files))
    assert status == 200, answer
    return f"{NAME}:{name}"


def _tar(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in _FOLDERS:
            entry = tarfile.TarInfo(folder)
            mode = 0o777 if folder == _OPEN_TO_ALL else 0o755
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            archive.addfile(entry)
        archive.add(BUSYBOX, "bin/busybox")
        for applet in _APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname, link.mode = tarfile.SYMTYPE, "busybox", 0o777
            archive.addfile(link)
        for path, (content, mode) in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
