"""The command itself: its version and parts, and the files and variables that it goes by."""

from __future__ import annotations

import importlib.util
import json
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gyoza.cli.checkup.findings import Finding, Group

if TYPE_CHECKING:
    from gyoza.cli.context import Context

_GROUP: Final = Group("client")
# A module of each extra that nothing else brings.
_PARTS: Final = {"server": "fastapi", "worker": "aiodocker"}
_OLDEST: Final = (3, 11)


def check_client(context: Context) -> list[Finding]:
    """Look at this installation and at what it finds on this machine."""
    from gyoza.client.dev_endpoint import find_endpoint

    running = find_endpoint(context.state_dir)
    return [
        _version(),
        _python(sys.version_info[:2]),
        _endpoint(context.state_dir / "endpoint.json", None if running is None else running.url),
        _address(context, is_running=running is not None),
        judge_key(context.environment),
    ]


def has_part(part: str) -> bool:
    """Return whether an extra is installed: server or worker."""
    return importlib.util.find_spec(_PARTS[part]) is not None


def _version() -> Finding:
    from gyoza import __version__

    parts = [part for part in _PARTS if has_part(part)]
    return _GROUP.ok("gyoza", f"{__version__}, with {', '.join(['client', *parts])}")


def _python(version: tuple[int, ...]) -> Finding:
    seen = f"{platform.python_version()} at {sys.executable}"
    if version < _OLDEST:
        return _GROUP.fail("python", seen, "install Python 3.11 or newer")
    return _GROUP.ok("python", seen)


def _endpoint(file: Path, running: str | None) -> Finding:
    name = "gyoza dev"
    if running is not None:
        return _GROUP.ok(name, f"runs at {running}")
    if not file.exists():
        return _GROUP.ok(name, "does not run here")
    remedy = f"nothing; `gyoza dev` writes it anew, or remove {file}"
    try:
        said: Any = json.loads(file.read_text("utf-8"))
        gone = f"{file} was left by process {said['pid']}, which is gone"
    except (OSError, ValueError, KeyError, TypeError):
        gone = f"{file} cannot be read"
    return _GROUP.warn(name, f"{gone}; it is ignored", remedy)


def _address(context: Context, *, is_running: bool) -> Finding:
    from gyoza.cli.failures import CliError

    try:
        url = context.settings().base_url
    except CliError as error:
        return _GROUP.fail("address", error.message, "correct --url or GYOZA_SERVER_URL")
    return _GROUP.ok("address", f"{url} ({_where_from(context, is_running=is_running)})")


def _where_from(context: Context, *, is_running: bool) -> str:
    if context.options.url:
        return "--url"
    if context.environment.get("GYOZA_SERVER_URL"):
        return "GYOZA_SERVER_URL"
    return "a running gyoza dev" if is_running else "the default"


def judge_key(environment: Mapping[str, str]) -> Finding:
    """Judge the caller's key by its looks; whether the server takes it is the server's word."""
    key = environment.get("GYOZA_API_KEY", "")
    if not key:
        return _GROUP.ok("key", "GYOZA_API_KEY is not set: none is sent")
    if key != key.strip() or not key.isprintable() or not key.isascii():
        seen = "GYOZA_API_KEY has blanks around it, or characters that no header takes"
        return _GROUP.fail("key", seen, "set it again, without quotes and line ends")
    return _GROUP.ok("key", f"GYOZA_API_KEY is set, {len(key)} characters")
