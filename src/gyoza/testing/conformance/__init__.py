"""Whether an image keeps protocol v1: it is tried, in any language, and every finding is told.

`trials` runs the image and gathers evidence, `checks` judges it and does nothing else, `report` is
what comes out.
"""

from __future__ import annotations
