"""Alembic's revisions of the schema, applied by `migrate.py` when a store is opened."""

from __future__ import annotations
