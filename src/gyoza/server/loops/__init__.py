"""The server's background duties, one a loop: dispatch, rescue, prune.

A duty is one `tick()`; starting, stopping, waiting and surviving errors are written once, in
`loop.Loop`. What a tick decides is in `scheduling` and `use_cases`.
"""

from __future__ import annotations
