"""How much may pass in a second: a token bucket over a clock that the caller reads.

Who is paced, and what happens to the rest, is the caller's business.
"""

from __future__ import annotations


class TokenBucket:
    """Lets through `rate` units a second on average and `burst` at once.

    Args:
        rate: Units a second.
        burst: Most units at one moment, and the filling at the start.
        now_s: Monotonic seconds at the start.
        saved: Units that nobody has taken before the start; they are there besides, once.
    """

    __slots__ = ("_at_s", "_burst", "_filling", "_rate")

    def __init__(self, rate: float, burst: float, now_s: float, *, saved: float = 0) -> None:
        self._rate = rate
        self._burst = burst
        self._filling = max(burst, saved)
        self._at_s = now_s

    def take(self, amount: int, now_s: float, *, reserve: float = 0) -> bool:
        """Take `amount` units, all or none.

        Args:
            amount: How many.
            now_s: Monotonic seconds right now.
            reserve: Refuse as well if fewer than this many units are there at all.
        """
        elapsed_s = max(0.0, now_s - self._at_s)
        grown = min(self._burst, self._filling + elapsed_s * self._rate)
        self._filling = max(self._filling, grown)
        self._at_s = now_s
        if self._filling < max(amount, min(reserve, self._burst)):
            return False
        self._filling -= amount
        return True
