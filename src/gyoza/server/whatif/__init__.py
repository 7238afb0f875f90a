"""What if: a load replayed on a fleet by the real planner, in virtual time.

Values in, values out: a `Load` and a `Fleet` become an `Outcome`, and that its `Figures`. Nothing
here reads a clock, a file or a database, and randomness comes from the load's own seed. Reading
files and showing figures is the command's.
"""

from __future__ import annotations
