"""Input files on this machine: each fetched once, kept by its SHA-256, lent to attempts.

`FileCache` is the way in. `shelf` is the folder on disk, `arrival` one file on its way into it.
What a failure means for an attempt is decided by whoever asks.
"""

from __future__ import annotations

from gyoza.worker.file_cache.cache import DiskFull, FileCache, WrongContent

__all__ = ["DiskFull", "FileCache", "WrongContent"]
