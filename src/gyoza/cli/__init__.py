"""The command `gyoza`: verbs that parse into options and then run; see docs/architecture/cli.md."""

from __future__ import annotations
