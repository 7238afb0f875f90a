"""`python -m gyoza` is the command `gyoza`."""

from __future__ import annotations

import sys

from gyoza.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
