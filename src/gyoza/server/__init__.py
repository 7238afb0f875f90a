"""The server: takes runs in, places them, records what becomes of them.

`start` runs it until a signal. Importing this package loads none of its parts, so that the CLI can
read the settings without waiting for a web framework.
"""

from __future__ import annotations


def start(
    host: str | None = None,
    port: int | None = None,
    reload: bool | None = None,  # noqa: FBT001 - the published signature
    workers: int | None = None,
    log_level: str | None = None,
) -> None:
    """Run the server until SIGINT or SIGTERM.

    Each argument goes before its environment variable (`GYOZA_HOST`, `GYOZA_PORT`, `GYOZA_RELOAD`,
    `GYOZA_WORKERS`, `GYOZA_LOG_LEVEL`), and that before its default.

    Args:
        host: Address to listen on; 127.0.0.1. Others need keys.
        port: TCP port; 5555, and 0 takes a free one.
        reload: Restart whenever gyoza's own source changes; for people who work on gyoza.
        workers: Server processes; over SQLite only 1 works, since one process owns the file.
        log_level: debug, info, warning or error; info.

    Raises:
        SystemExit: With a message when the server cannot start; with 130 after SIGINT.
    """
    from gyoza.server import main  # noqa: PLC0415 - see the module's docstring

    main.start(host, port, reload, workers, log_level)
