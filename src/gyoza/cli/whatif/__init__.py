"""`gyoza simulate` around the replay itself: files of loads and fleets, recording, and showing."""

from __future__ import annotations
