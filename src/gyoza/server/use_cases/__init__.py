"""What the server does, one function a verb: load, decide, record.

Each function takes a unit of work first, then plain values or wire messages, and returns domain
objects or wire messages. Refusals are `gyoza.server.errors`. No HTTP, no SQL, no clock and no
randomness in here: they come in through the unit of work and `Outside`.
"""

from __future__ import annotations
