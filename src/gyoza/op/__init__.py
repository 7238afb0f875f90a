"""What an op and its worker agree on, and what runs inside the container.

Standard library only: this package is copied into images. `protocol` is the container contract.
"""

from __future__ import annotations
