"""Every refusal of the server as a typed error, with the stable code that programs decide by.

Use cases and storage raise these; `api/problems.py` alone knows which HTTP status each one has. An
error's text is written for the person who reads it: what, with which value, what was expected, what
to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from gyoza.wire.messages import Fault

_SHOWN: Final = 3


class ServerError(Exception):
    """Anything the server refuses on purpose; `str(error)` is the detail shown to people.

    Attributes:
        code: The problem code of docs/architecture/contracts.md.
        title: The kind of problem in a few words, the same for every instance of it.
        faults: For invalid input, what is wrong and where; else empty.
    """

    code: ClassVar[str] = "INTERNAL"
    title: ClassVar[str] = "The server made a mistake"
    faults: Sequence[Fault] = ()


class InvalidInput(ServerError):
    """A document was understood and refused; every fault is named at once.

    Args:
        faults: At least one fault, each with its JSON pointer into the request body.
        detail: One sentence about the whole; None makes one from the faults.
    """

    code = "INVALID_INPUT"
    title = "The input is not valid"

    def __init__(self, faults: Sequence[Fault], detail: str | None = None) -> None:
        super().__init__(detail or _summary(faults))
        self.faults = tuple(faults)


class InvalidRequest(ServerError):
    """The request itself is malformed: an unknown field, a parameter of the wrong type.

    Args:
        faults: What is wrong with its JSON pointer, or the name of a query parameter.
        detail: One sentence about the whole; None makes one from the faults.
    """

    code = "INVALID_REQUEST"
    title = "The request is not valid"

    def __init__(self, faults: Sequence[Fault], detail: str | None = None) -> None:
        super().__init__(detail or _summary(faults))
        self.faults = tuple(faults)


class InvalidJson(ServerError):
    """The body is not JSON that gyoza accepts."""

    code = "INVALID_JSON"
    title = "The body is not acceptable JSON"


class HashMismatch(ServerError):
    """The bytes do not have the hash they were sent under."""

    code = "HASH_MISMATCH"
    title = "The content has another hash"

    def __init__(self, expected: str, actual: str) -> None:
        super().__init__(
            f"the body's SHA-256 is {actual}, the address says {expected}; nothing was stored: "
            "send the bytes again, or to the address of their hash"
        )


class BodyTooLarge(ServerError):
    """The body is longer than the server takes."""

    code = "BODY_TOO_LARGE"
    title = "The body is too large"

    def __init__(self, max_bytes: int) -> None:
        super().__init__(
            f"at most {max_bytes} bytes are accepted; put large values into artifacts, or raise "
            "GYOZA_MAX_BODY_BYTES on the server"
        )


class ArtifactTooLarge(BodyTooLarge):
    """The file is longer than the server takes."""

    def __init__(self, max_bytes: int) -> None:
        ServerError.__init__(
            self,
            f"a file may have at most {max_bytes} bytes; split it, or raise "
            "GYOZA_MAX_ARTIFACT_BYTES on the server",
        )


class UploadOffset(ServerError):
    """An upload goes on somewhere else than where the bytes that arrived end.

    Args:
        sha256: Of the whole file.
        offset: Bytes that have arrived, which is where to go on.
    """

    code = "UPLOAD_OFFSET"
    title = "The upload goes on elsewhere"

    def __init__(self, sha256: str, offset: int) -> None:
        super().__init__(
            f"{offset} bytes of {sha256} have arrived; go on from there, which is what "
            "Upload-Offset says, or send the whole file with PUT"
        )
        self.offset = offset


class UploadBusy(ServerError):
    """Another connection is sending the same file."""

    code = "UPLOAD_BUSY"
    title = "The upload is going on already"

    def __init__(self, sha256: str) -> None:
        super().__init__(
            f"another connection is sending {sha256}; ask for its offset again in a moment"
        )


class NotAuthenticated(ServerError):
    """No key, or one that the server does not know."""

    code = "NOT_AUTHENTICATED"
    title = "A key is needed"


class NotAllowed(ServerError):
    """A known key that may not do this."""

    code = "NOT_ALLOWED"
    title = "This key may not do that"


class HostNotAllowed(ServerError):
    """The Host header names a host that this server does not answer for."""

    code = "HOST_NOT_ALLOWED"
    title = "The server does not answer for this host name"

    def __init__(self, host: str) -> None:
        super().__init__(
            f"host {host!r} is not on the allow-list; add it to GYOZA_ALLOWED_HOSTS on the server"
        )


class OpNotFound(ServerError):
    """No op has this id."""

    code = "OP_NOT_FOUND"
    title = "No such op"

    def __init__(self, op_id: str) -> None:
        super().__init__(f"no op is called {op_id!r}; `gyoza op list` shows what there is")


class VersionNotFound(ServerError):
    """The op exists, this version of it does not."""

    code = "VERSION_NOT_FOUND"
    title = "No such version of the op"

    def __init__(self, op_id: str, version: str) -> None:
        super().__init__(
            f"op {op_id!r} has no version {version!r}; `gyoza op versions {op_id}` lists them"
        )


class RunNotFound(ServerError):
    """No run has this id, or starts with this prefix.

    Args:
        run_id: As it was asked for.
        min_chars: Set when it is too short to be looked for: the fewest that are enough.
    """

    code = "RUN_NOT_FOUND"
    title = "No such run"

    def __init__(self, run_id: str, *, min_chars: int | None = None) -> None:
        why = (
            "it may have been pruned after its retention time; `gyoza ps --all` lists what there is"
        )
        if min_chars is not None:
            why = f"the beginning of an id needs at least {min_chars} characters (run_...)"
        super().__init__(f"no run {run_id!r}; {why}")


class WorkerNotFound(ServerError):
    """No worker has this id; a worker that gets this registers again."""

    code = "WORKER_NOT_FOUND"
    title = "No such worker"

    def __init__(self, worker_id: str) -> None:
        super().__init__(f"no worker {worker_id!r}; a worker is known once it has registered")


class ArtifactNotFound(ServerError):
    """Nothing is stored under this hash."""

    code = "ARTIFACT_NOT_FOUND"
    title = "No such artifact"

    def __init__(self, sha256: str) -> None:
        super().__init__(f"no artifact {sha256!r}; upload it with PUT /api/v1/artifacts/<sha256>")


class AmbiguousId(ServerError):
    """A prefix that more than one run starts with."""

    code = "AMBIGUOUS_ID"
    title = "The id is ambiguous"

    def __init__(self, prefix: str, ids: Sequence[str]) -> None:
        super().__init__(f"{prefix!r} could be {' or '.join(ids)}; write more of the id")


class VersionConflict(ServerError):
    """A registered version never changes.

    Args:
        fields: The members of the definition that differ from what is registered.
    """

    code = "VERSION_CONFLICT"
    title = "The version exists with other content"

    def __init__(self, op_id: str, version: str, fields: Sequence[str]) -> None:
        super().__init__(
            f"{op_id} {version} is registered with another {', '.join(fields)}; a registered "
            "version never changes: give the new content a new version"
        )


class NoEarlierVersion(ServerError):
    """There is nothing to go back to."""

    code = "NO_EARLIER_VERSION"
    title = "The op has no earlier version"

    def __init__(self, op_id: str, version: str) -> None:
        super().__init__(
            f"{op_id} {version} is current and was registered first; name a later version, or "
            f"see `gyoza op versions {op_id}`"
        )


class RunEnded(ServerError):
    """The run is over and takes no such change."""

    code = "RUN_ENDED"
    title = "The run has ended"

    def __init__(self, run_id: str, state: str) -> None:
        super().__init__(
            f"run {run_id} is already {state} and takes no more changes; "
            "only a FAILED or CANCELLED run can be opened again, by a retry"
        )


class RunNotEnded(ServerError):
    """Only a run that is over can be retried."""

    code = "RUN_NOT_ENDED"
    title = "The run has not ended"

    def __init__(self, run_id: str, state: str) -> None:
        super().__init__(f"run {run_id} is {state}; cancel it first, or wait for its end")


class RunCompleted(ServerError):
    """A completed run is not run again."""

    code = "RUN_COMPLETED"
    title = "The run has completed"

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"run {run_id} is COMPLETED and keeps its outputs; submit a new run to do it again"
        )


class RunHeld(ServerError):
    """A worker holds the run, and only it may write to it."""

    code = "RUN_HELD"
    title = "A worker holds the run"

    def __init__(self, run_id: str, worker_id: str | None) -> None:
        super().__init__(
            f"run {run_id} is held by worker {worker_id}, which alone reports its events and "
            "outputs; cancel the run first, or wait for its end"
        )


class OpArchived(ServerError):
    """An archived op takes no new runs."""

    code = "OP_ARCHIVED"
    title = "The op is archived"

    def __init__(self, op_id: str) -> None:
        super().__init__(f"op {op_id!r} is archived; deploying a version of it brings it back")


class QuotaNotFound(ServerError):
    """The owner has no quota of its own."""

    code = "QUOTA_NOT_FOUND"
    title = "No such quota"

    def __init__(self, owner: str) -> None:
        super().__init__(
            f"owner {owner!r} has no quota of its own; `gyoza quota list` shows who has"
        )


class QuotaExceeded(ServerError):
    """An owner has as many runs waiting as may be.

    Args:
        owner: Whose; None are the runs without an owner.
        has: Runs that wait.
        most: Runs that may.
    """

    code = "QUOTA_EXCEEDED"
    title = "The owner's quota is used up"

    def __init__(self, owner: str | None, has: int, most: int) -> None:
        whose = "runs without an owner" if owner is None else f"owner {owner}"
        super().__init__(
            f"{whose}: {has} waiting of at most {most}; wait until some have started, cancel some, "
            "or have the quota raised (`gyoza quota set`)"
        )


class WorkerBusy(ServerError):
    """A live worker that holds runs is not removed."""

    code = "WORKER_BUSY"
    title = "The worker holds runs"

    def __init__(self, worker_id: str, run_ids: Sequence[str]) -> None:
        super().__init__(
            f"worker {worker_id} holds {', '.join(run_ids)}; drain it and wait, or cancel them"
        )


class SessionSuperseded(ServerError):
    """Another process registered under this worker's identity."""

    code = "SESSION_SUPERSEDED"
    title = "The worker's session is over"


class IdempotencyMismatch(ServerError):
    """An Idempotency-Key came back with another request."""

    code = "IDEMPOTENCY_MISMATCH"
    title = "The idempotency key was used for another request"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"Idempotency-Key {key!r} was used with another body within the last 24 hours; "
            "take a new key for a new request"
        )


class StoreUnavailable(ServerError):
    """The database cannot be read or written now; trying again later may help."""

    code = "STORE_UNAVAILABLE"
    title = "The store is not available"


class StoreInUse(StoreUnavailable):
    """Another server holds the database file.

    Args:
        path: The database.
        pid: The process that holds it; None when it did not say.
    """

    def __init__(self, path: str, pid: int | None) -> None:
        holder = "another process" if pid is None else f"process {pid}"
        super().__init__(
            f"{path} is in use by {holder}; stop that server first, or give this one its own "
            "GYOZA_DATA_DIR"
        )
        self.pid = pid


class SchemaTooNew(StoreUnavailable):
    """The database was written by a later version of gyoza.

    Args:
        path: The database.
        found: Its schema's revision, which this version does not know.
    """

    def __init__(self, path: str, found: str) -> None:
        super().__init__(
            f"{path} has schema {found}, which this version of gyoza does not know; upgrade "
            "gyoza, or open another GYOZA_DATA_DIR"
        )


class Superseded(StoreUnavailable):
    """Somebody else changed the same thing at the same moment, again and again.

    A unit of work that loses such a race is run again from the start; this is what comes out when
    it keeps losing.
    """


class ShuttingDown(ServerError):
    """The server is about to end and takes no new requests."""

    code = "SHUTTING_DOWN"
    title = "The server is shutting down"


def _summary(faults: Sequence[Fault]) -> str:
    shown = "; ".join(f"{fault.pointer or 'body'}: {fault.message}" for fault in faults[:_SHOWN])
    more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return shown + more
