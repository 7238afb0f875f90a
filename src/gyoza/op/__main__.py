"""`python -m gyoza.op TARGET`: runs one attempt of an op, or prints its spec.

TARGET is `module:name` or `file.py:name`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys

from gyoza.op.failures import describe
from gyoza.op.loading import load
from gyoza.op.runtime import Folders, run_attempt
from gyoza.op.spec import derive


def main(arguments: list[str]) -> int:
    """Carry out the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m gyoza.op", description="Run an op once.")
    parser.add_argument("target", help="module:name or file.py:name")
    parser.add_argument("--spec", action="store_true", help="print the op's spec as JSON instead")
    options = parser.parse_args(arguments)
    # An entry point finds the author's modules as `python file.py` would: beside itself.
    if os.getcwd() not in sys.path:  # noqa: PTH109 - compared with what Python put there
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    return (
        print_spec(options.target)
        if options.spec
        else run_attempt(options.target, Folders.of(os.environ))
    )


def print_spec(target: str) -> int:
    """Print the op's spec on stdout, or what is wrong with it on stderr."""
    try:
        spec = derive(load(target)).to_dict()
    except Exception as error:  # noqa: BLE001 - importing runs the author's code
        failure = describe(error)
        for problem in getattr(error, "problems", []):
            sys.stderr.write(f"{target}: {problem}\n")
        if not hasattr(error, "problems"):
            sys.stderr.write(failure.traceback)
        return failure.exit_code
    sys.stdout.write(json.dumps({"target": target, **spec}, indent=2, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
