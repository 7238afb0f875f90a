"""How many short runs come back without all of their output: none may.

Each run is an op that writes two lines and a word, and ends after some 10 ms; it goes through what
`gyoza run --local` goes through. The engine is busy with several at a time, as its races want it.
Usage: just bench last_words [runs, default 300] [at once, default 4]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from gyoza.models import Execution, OpDefinition
from gyoza.testing.attempts import Order
from gyoza.testing.container import in_container
from gyoza.testing.settings import engine_address
from gyoza.worker.clock import SystemClock

IMAGE = "gyoza-local/busybox:static"
SCRIPT = "echo one; echo two >&2; printf three"
WRITTEN = "one\ntwo\nthree"
RUNS, AT_ONCE = 300, 4


async def main() -> None:
    """Run them all and count."""
    given = [int(word) for word in sys.argv[1:]]
    runs, at_once = [*given, *(RUNS, AT_ONCE)[len(given) :]]
    room = asyncio.Semaphore(at_once)
    with tempfile.TemporaryDirectory() as folder:
        order = Order(definition=_op(), folder=Path(folder))

        async def output_of_one() -> str:
            async with room:
                return (await in_container(order, engine_address())).logs

        found = await asyncio.gather(*(output_of_one() for _ in range(runs)))
    # Which of the two streams is read first is nobody's promise.
    lost = [output for output in found if sorted(output) != sorted(WRITTEN)]
    for output in lost[:10]:
        print(f"only {output!r}")
    print(f"runs whose output is not whole: {len(lost)} of {runs}")


def _op() -> OpDefinition:
    command = Execution(command=("sh", "-c", SCRIPT))
    return OpDefinition.create("last-words", "1", IMAGE, execution=command, now=SystemClock().now())


if __name__ == "__main__":
    asyncio.run(main())
