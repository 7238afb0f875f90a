"""Verbs about what owners may have."""

from __future__ import annotations
