"""What every test shares: the asynchronous backend and how hard Hypothesis tries."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", max_examples=500, deadline=None, print_blob=True)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "dev")  # noqa: TID251 - pytest has no settings module
)


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, the loop that the server and the worker run on."""
    return "asyncio"
