"""`python -m tests.stories.tour [--pause SECONDS]`: the tour for people who watch; `just tour`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.stories.stage import own_environment
from tests.stories.story import read_story
from tests.stories.tour.player import Mismatch, Player


def main() -> int:
    """Play the tour in a folder of its own, and show it."""
    parser = argparse.ArgumentParser(description="An op's first hour, in a minute.")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds before each command")
    pause_s = parser.parse_args().pause

    def show(line: str) -> None:
        if line.startswith("$ "):
            time.sleep(pause_s)  # noqa: TID251 - for people who read
            sys.stdout.write("\n")
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    base = os.environ.get("GYOZA_BASE_IMAGE", "gyoza-local/python:bookworm")  # noqa: TID251
    with tempfile.TemporaryDirectory(prefix="gyoza-tour-") as folder:
        player = Player(Path(folder), {**own_environment(), "GYOZA_BASE_IMAGE": base}, show)
        try:
            player.play(read_story(Path(__file__).with_name("tour.txt")))
        except Mismatch as mismatch:
            sys.stderr.write(f"\nthe tour went another way:\n{mismatch}\n")
            return 1
    sys.stdout.write("\nThe tour is over; nothing of it is left but the images.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
