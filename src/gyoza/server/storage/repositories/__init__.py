"""One repository per kind of thing; each takes and returns domain objects or records."""

from __future__ import annotations
