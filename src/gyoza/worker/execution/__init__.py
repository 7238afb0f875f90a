"""Carrying out one attempt: the pipeline of stages, and what they share.

Nothing here knows the engine (`gyoza.worker.runtime`) or HTTP (`gyoza.worker.server_port`).
"""

from __future__ import annotations
