"""What is known of stored files; their bytes are in `artifact_files.py`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from gyoza.server.storage.dialects import upsert
from gyoza.server.storage.instants import from_us, to_us
from gyoza.server.storage.records import ArtifactRecord, RunArtifact
from gyoza.server.storage.schema import artifacts, run_artifacts
from gyoza.server.storage.transaction import Transaction
from gyoza.wire.messages import ArtifactRef


class ArtifactRepository:
    """The artifacts of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._connection = transaction.connection

    def find(self, sha256: str) -> ArtifactRecord | None:
        """The artifact of this hash; None when nothing is stored under it."""
        row = self._connection.execute(
            select(artifacts).where(artifacts.c.sha256 == sha256)
        ).first()
        if row is None:
            return None
        return ArtifactRecord(row.sha256, row.size_bytes, row.media_type, from_us(row.created_us))

    def add(self, artifact: ArtifactRecord) -> bool:
        """Note a file whose bytes are already in place.

        Returns:
            False when it was known; what was noted first stays.
        """
        statement = upsert(self._connection, artifacts).values(
            sha256=artifact.sha256,
            size_bytes=artifact.size_bytes,
            media_type=artifact.media_type,
            created_us=to_us(artifact.created_at),
        )
        return self._connection.execute(statement.on_conflict_do_nothing()).rowcount == 1

    def link(self, run_id: str, attempt: int, refs: Sequence[ArtifactRef]) -> None:
        """Note that an attempt left these files, each of which is known; repeating is harmless."""
        if not refs:
            return
        rows = [
            {
                "run_id": run_id,
                "attempt": attempt,
                "name": ref.name,
                "sha256": ref.sha256,
                "size_bytes": ref.size_bytes,
                "media_type": ref.media_type,
            }
            for ref in refs
        ]
        statement = upsert(self._connection, run_artifacts)
        self._connection.execute(statement.on_conflict_do_nothing(), rows)

    def of_run(self, run_id: str) -> list[RunArtifact]:
        """The files that the run's attempts left, by attempt and name."""
        statement = (
            select(run_artifacts)
            .where(run_artifacts.c.run_id == run_id)
            .order_by(run_artifacts.c.attempt, run_artifacts.c.name)
        )
        return [
            RunArtifact(
                row.attempt,
                ArtifactRef(
                    sha256=row.sha256,
                    size_bytes=row.size_bytes,
                    media_type=row.media_type,
                    name=row.name,
                ),
            )
            for row in self._connection.execute(statement)
        ]
