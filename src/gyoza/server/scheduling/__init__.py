"""Which pending run goes to which worker: values in, values out.

`plan(snapshot)` decides; nothing here reads a clock, a database or a random number, so every
decision can be repeated, and tested with two values. Applying a plan is the dispatcher's.
"""

from __future__ import annotations
