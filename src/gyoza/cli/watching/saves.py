"""Noticing that somebody saved: changes of files as the operating system tells of them.

One save is often several changes (a file beside, a rename, a removal); they arrive as one here.
Whether anything that matters has changed is decided by who is told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError

if TYPE_CHECKING:
    from watchfiles import Change

# A change is passed on when for so long none has followed, at the latest after the second.
_QUIET_MS: Final = 30
_LATEST_MS: Final = 300
_LOOK_MS: Final = 100
_SCRIPT: Final = ".py"


def root_of(path: Path) -> Path:
    """Return the folder to watch for a project's folder, its `gyoza.yml`, or a Python file."""
    whole = path.absolute()
    return whole if whole.is_dir() else whole.parent


def saves(path: Path, stop: threading.Event, now_s: Callable[[], float]) -> Iterator[float | None]:
    """Yield the moment of every save, in seconds since the epoch; None once, when watching begins.

    Args:
        path: A project's folder, its `gyoza.yml`, or a Python file.
        stop: Ends it.
        now_s: The clock that files' times are made by.

    Raises:
        CliError: Nothing here can watch files.
    """
    watch = _watcher()
    is_script = path.suffix == _SCRIPT
    root = root_of(path)
    rounds = watch(
        root,
        watch_filter=_OfScript(path.name) if is_script else _OfFolder(root),
        debounce=_LATEST_MS,
        step=_QUIET_MS,
        stop_event=stop,
        rust_timeout=_LOOK_MS,
        yield_on_timeout=True,
        raise_interrupt=False,
        recursive=not is_script,
    )
    has_begun = False
    for changes in rounds:
        if changes:
            yield saved_at_s((Path(name) for _, name in changes), now_s())
        elif not has_begun:
            # Only now is it watching: what is read from here on cannot miss a change.
            yield None
        has_begun = True


def saved_at_s(paths: Iterable[Path], now_s: float) -> float:
    """Return when files were saved: the newest of their times, else now.

    Args:
        paths: Changed files, removed ones among them.
        now_s: A copied file may bring a time of long ago, or of tomorrow; that one does not count.
    """
    latest_s = _LATEST_MS / 1000 * 2
    times = [time_s for path in paths if (time_s := _time_s(path)) is not None]
    return max((time_s for time_s in times if 0 <= now_s - time_s <= latest_s), default=now_s)


def _time_s(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


class _OfScript:
    """Lets the changes of one file through, and those of its lock."""

    def __init__(self, name: str) -> None:
        self._names = {name, f"{name}.lock"}

    def __call__(self, change: Change, path: str) -> bool:
        del change
        return Path(path).name in self._names


class _OfFolder:
    """Lets changes through, except of what enters no image."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __call__(self, change: Change, path: str) -> bool:
        from gyoza.project.development import is_editors_own
        from gyoza.project.ignore_rules import FILE_NAME

        del change
        name = PurePosixPath(Path(path).relative_to(self._root).as_posix())
        if str(name) == FILE_NAME:
            return True
        return not (is_editors_own(str(name)) or self._rules().ignores(name))

    def _rules(self) -> IgnoreRules:
        from gyoza.project.ignore_rules import FILE_NAME, NEVER, IgnoreRules, read_patterns

        try:
            own = read_patterns((self._root / FILE_NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            own = []
        return IgnoreRules([*NEVER, *own])


def _watcher() -> Callable[..., Iterable[set[tuple[Change, str]]]]:
    try:
        from watchfiles import watch
    except ModuleNotFoundError as error:
        raise CliError(
            "watching a project needs watchfiles, which is not installed",
            ExitCode.UNEXPECTED,
            hint='install it with: pip install "gyoza-ops[all]"',
        ) from error
    return watch


if TYPE_CHECKING:
    from gyoza.project.ignore_rules import IgnoreRules
