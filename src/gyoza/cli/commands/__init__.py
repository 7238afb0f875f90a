"""One verb per file: options, a Typer function that only parses, and `run(options, context)`."""

from __future__ import annotations
