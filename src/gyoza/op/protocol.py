"""Op protocol v1: the one place that knows the contract between a container and its worker.

Names of files and variables, reserved exit codes and caps live here; the worker, the in-container
runtime and the author's test tools all read them from here. How each side honours the contract
lives with that side; nothing here does anything. Standard library only.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = 1

# --- places --------------------------------------------------------------------------------------

DIR: Final = "/gyoza"
"""Where the two folders appear inside a container; `GYOZA_DIR` says so to the op."""

IN: Final = "in"
"""Name of the read-only folder."""

OUT: Final = "out"
"""Name of the op's own folder."""

INPUT_FILE: Final = "input.json"
"""In `in/`: the prepared inputs, files already replaced by local paths."""

CONTEXT_FILE: Final = "context.json"
"""In `in/`: run id, op, version, image digest, attempt, deadline, granted resources, GPU UUIDs."""

CANCEL_FILE: Final = "cancel.json"
"""In `in/`: appears by rename just before SIGTERM: `reason`, `message`, `deadline`."""

FILES: Final = "files"
"""In `in/` and `out/`: the folder of files."""

OUTPUT_FILE: Final = "output.json"
"""In `out/`: the outputs as one JSON object, best written to a temporary name and renamed."""

EVENTS_FILE: Final = "events.jsonl"
"""In `out/`: append-only, one JSON object per line: `{"type": "progress", "msg": 40}`."""

ERROR_FILE: Final = "error.json"
"""In `out/`: `type`, `message`, `retryable`, `details`, `retry_after_ms` of a failure."""

# --- environment ---------------------------------------------------------------------------------

ENV_DIR: Final = "GYOZA_DIR"
ENV_RUN_ID: Final = "GYOZA_RUN_ID"
ENV_ATTEMPT: Final = "GYOZA_ATTEMPT"
ENV_DEADLINE: Final = "GYOZA_DEADLINE"
"""RFC 3339 time in UTC at which the worker will ask the op to end."""

ENV_GPU_UUID: Final = "GYOZA_GPU_UUID"
"""The GPU that the run was given; absent from runs that asked for no VRAM."""

ENV_GPU_INDEX: Final = "GYOZA_GPU_INDEX"
"""Its position on the machine. To CUDA it is number 0: a container sees no other."""

ENV_HOME: Final = "HOME"
HOME: Final = "/tmp"  # noqa: S108  the container's own tmpfs, its only writable place but `out/`

THREAD_VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
"""Set to the granted CPUs: numeric libraries otherwise start a thread per processor of the host."""

# --- how an op ends ------------------------------------------------------------------------------

EXIT_OK: Final = 0
EXIT_BAD_INPUT: Final = 65
"""`EX_DATAERR`: the inputs are wrong; another attempt cannot help."""

EXIT_TRY_AGAIN: Final = 75
"""`EX_TEMPFAIL`: something outside failed; does not count against the run's attempts."""

# --- events --------------------------------------------------------------------------------------

PROGRESS: Final = "progress"
INFO: Final = "info"
ERROR: Final = "error"
METRIC: Final = "metric"
OUTPUT: Final = "output"
EVENT_TYPES: Final = (PROGRESS, INFO, ERROR, METRIC, OUTPUT)
"""What an op may say of itself. How a run ends is the exit code's to say, never an event's."""

KIND: Final = "kind"
"""Member of an INFO event's payload that tells metrics and partial outputs from plain words."""

# --- files as values -----------------------------------------------------------------------------

ARTIFACT_KEY: Final = "$artifact"
"""The one key of a value that stands for a stored file: sha256, size_bytes, media_type, name."""

# --- caps ----------------------------------------------------------------------------------------

MAX_OUTPUT_BYTES: Final = 1024 * 1024
MAX_ERROR_BYTES: Final = 64 * 1024
MAX_EVENT_LINE_BYTES: Final = 64 * 1024
MAX_EVENTS: Final = 10_000
MAX_FILES: Final = 10_000
MAX_FILE_LEVELS: Final = 16

# --- who and how long ----------------------------------------------------------------------------

CONTAINER_UID: Final = 65532
CONTAINER_GID: Final = 65532
DEFAULT_GRACE_S: Final = 10
MAX_GRACE_S: Final = 120
