"""`python -m tests.simulation --seeds 500`: live many worlds, judge each, count the rare."""

from __future__ import annotations

import sys

from tests.simulation.runner import main

sys.exit(main(sys.argv[1:]))
