"""Print docs/reference/openapi.json from the declarations of the server's operations."""

from __future__ import annotations

import importlib.metadata
import sys

from gyoza.server.api.app import described
from gyoza.server.main import DISTRIBUTION

sys.stdout.write(described(importlib.metadata.version(DISTRIBUTION)))
