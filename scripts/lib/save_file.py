"""Fetch a file that a run returned.

Usage: `save_file.py RUN.json OUTPUT PATH`, with the run as `gyoza show --json` prints it. The
server is the one that `GYOZA_SERVER_URL` names.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gyoza.client import GyozaClient


def main() -> None:
    """Fetch it."""
    document, output, path = sys.argv[1:]
    run = json.loads(Path(document).read_text(encoding="utf-8"))
    with GyozaClient() as client:
        client.get_artifact(run["outputs"][output]["$artifact"]["sha256"], Path(path))


if __name__ == "__main__":
    main()
