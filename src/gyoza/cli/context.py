"""Where the outside enters the command: streams, environment, clock, and the way to the server.

A verb gets a Context and nothing else from outside, so that a test hands it buffers, a transport
and an environment of its own.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from gyoza.cli.output import Output

if TYPE_CHECKING:
    import httpx2

    from gyoza.client import AsyncGyozaClient, GyozaClient
    from gyoza.client.settings import ClientSettings


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """Options that every verb takes.

    Attributes:
        url: Server; None is found by the environment or a running `gyoza dev`.
        json: Whether standard output is JSON.
        quiet: Whether only ids are printed.
        no_color: Whether colour is off in any case.
        debug: Whether errors show their traceback.
        timeout: Seconds; None is the verb's own default.
    """

    url: str | None = None
    json: bool = False
    quiet: bool = False
    no_color: bool = False
    debug: bool = False
    timeout: float | None = None

    def over(self, outer: GlobalOptions) -> GlobalOptions:
        """Return these options, and where they are silent those given before them."""
        return GlobalOptions(
            url=self.url or outer.url,
            json=self.json or outer.json,
            quiet=self.quiet or outer.quiet,
            no_color=self.no_color or outer.no_color,
            debug=self.debug or outer.debug,
            timeout=outer.timeout if self.timeout is None else self.timeout,
        )


@dataclass(slots=True)
class Streams:
    """Standard input, output and error, and whether a person sits at them."""

    stdin: TextIO = field(default_factory=lambda: sys.stdin)
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)

    @property
    def is_terminal(self) -> bool:
        """Whether standard output is a terminal."""
        return self.stdout.isatty()


@dataclass
class Context:
    """Everything a verb may use from outside.

    Attributes:
        options: The global options; set before the verb runs.
        streams: Standard streams.
        environment: Environment variables; changes reach child processes and started parts.
        monotonic: Clock for durations, in seconds.
        now: Clock for people.
        transport: Carries the client's requests instead of sockets; None opens sockets.
    """

    options: GlobalOptions = field(default_factory=GlobalOptions)
    streams: Streams = field(default_factory=Streams)
    environment: MutableMapping[str, str] = field(default_factory=lambda: os.environ)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    transport: httpx2.BaseTransport | httpx2.AsyncBaseTransport | None = None

    @cached_property
    def output(self) -> Output:
        """Where results and hints go."""
        return Output(
            stdout=self.streams.stdout,
            stderr=self.streams.stderr,
            is_terminal=self.streams.is_terminal,
            as_json=self.options.json,
            quiet=self.options.quiet,
            colour=self._colour(),
        )

    @property
    def state_dir(self) -> Path:
        """The folder of the user's state: endpoint file, last run."""
        from gyoza.client.dev_endpoint import state_dir

        return state_dir(self.environment)

    @property
    def data_dir(self) -> Path:
        """The folder of the user's data."""
        import platformdirs

        given = self.environment.get("XDG_DATA_HOME")
        return Path(given) / "gyoza" if given else platformdirs.user_data_path("gyoza")

    def settings(self) -> ClientSettings:
        """Return the client's settings: options, and for the rest what any client finds.

        Raises:
            CliError: The address or the timeout makes no sense.
        """
        from gyoza.cli.failures import CliError
        from gyoza.client.settings import DEFAULT_TIMEOUT_S, read_settings

        timeout = DEFAULT_TIMEOUT_S if self.options.timeout is None else self.options.timeout
        try:
            return read_settings(
                self.options.url,
                timeout=min(timeout, DEFAULT_TIMEOUT_S),
                environment=self.environment,
            )
        except ValueError as error:
            raise CliError(str(error)) from error

    def client(self) -> GyozaClient:
        """Return a client; use it as a context manager."""
        from gyoza.client import GyozaClient

        return GyozaClient(settings=self.settings(), transport=self.transport)  # pyright: ignore[reportArgumentType] - tests pass one that is both

    def async_client(self) -> AsyncGyozaClient:
        """Return a client for tasks; use it as an async context manager."""
        from gyoza.client import AsyncGyozaClient

        return AsyncGyozaClient(settings=self.settings(), transport=self.transport)  # pyright: ignore[reportArgumentType] - tests pass one that is both

    def _colour(self) -> bool:
        silent = self.options.no_color or self.environment.get("NO_COLOR")
        if silent or self.environment.get("TERM") == "dumb":
            return False
        return self.streams.is_terminal or bool(self.environment.get("FORCE_COLOR"))
