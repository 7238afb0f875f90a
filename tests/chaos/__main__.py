"""`python -m tests.chaos --minutes 5`: real processes, a Docker of their own, and a nemesis."""

from __future__ import annotations

import argparse
import random
import sys

from tests.chaos.storm import main

parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
parser.add_argument("--minutes", type=float, default=5.0, help="how long things are broken")
parser.add_argument("--seed", type=int, default=None, help="of the nemesis's choices")
options = parser.parse_args()
seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
sys.stdout.write(f"seed {seed}\n")
sys.exit(main(options.minutes, seed))
