"""Attempt tokens: proof that a worker was given this run under this fence.

The token is an HMAC, so nothing secret is stored and the same claim can be answered twice alike.
"""

from __future__ import annotations

import hmac


def attempt_token(secret: bytes, run_id: str, fence: int) -> str:
    """Return the token of an attempt, as hex."""
    return hmac.digest(secret, f"attempt:{run_id}:{fence}".encode(), "sha256").hex()


def is_token_of(token: str, secret: bytes, run_id: str, fence: int) -> bool:
    """Whether the token is the attempt's; takes the same time for every wrong one."""
    expected = attempt_token(secret, run_id, fence).encode()
    return hmac.compare_digest(token.encode("utf-8", "replace"), expected)
