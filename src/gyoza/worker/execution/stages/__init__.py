"""The stages of an attempt, one file each, in the order of `gyoza.worker.execution.pipeline`."""

from __future__ import annotations
