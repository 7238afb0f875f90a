"""Runs as the command's JSON and words: the same document as the API's, and what names a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.models import OpRun, OpRunState

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.client import GyozaClient

LAST: Final = "@last"
_WHOLE_ID: Final = len("run_") + 26
_TIMEOUT_REASONS: Final = {"RUN_TIMEOUT", "QUEUE_TIMEOUT", "TOTAL_TIMEOUT"}


def run_document(run: OpRun) -> dict[str, Any]:
    """Return a run's JSON: its own form and, beside it, what people ask for first."""
    return {
        **run.to_dict(),
        "progress": run.progress,
        "outputs": run.outputs,
        "execution_summary": run.execution_summary.to_dict(),
        "attempt": run.current_attempt.attempt,
        "worker_id": run.worker_id,
        "reason": run.reason,
        "phase": run.phase,
    }


def op_name(run: OpRun) -> str:
    """Return what a run runs: `op@version`, or its image."""
    if run.op_definition is None:
        return run.image
    return f"{run.op_definition}@{run.op_version}" if run.op_version else run.op_definition


def exit_code_of(run: OpRun) -> ExitCode:
    """Return what `gyoza run` ends with for a run that is over."""
    if run.state is OpRunState.COMPLETED:
        return ExitCode.OK
    if run.state is OpRunState.CANCELLED:
        return ExitCode.RUN_CANCELLED
    return ExitCode.RUN_TIMED_OUT if run.reason in _TIMEOUT_REASONS else ExitCode.RUN_FAILED


def why(run: OpRun) -> str:
    """Return the reason and message of a run's end, "" when there is neither."""
    parts = [part for part in (run.reason, run.execution_summary.error_message) if part]
    return ": ".join(parts)


def given_id(text: str, context: Context) -> str:
    """Return the run id, or the beginning of one, that a word stands for.

    Raises:
        CliError: `@last`, and this user submitted nothing yet.
    """
    from gyoza.cli.endpoint import find_last_run

    if text != LAST:
        return text if text.startswith("run_") else f"run_{text}"
    last = find_last_run(context.state_dir)
    if last is None:
        raise CliError(
            "@last means the run you submitted last, and there is none",
            ExitCode.NOT_FOUND,
            hint="`gyoza ps --all` lists runs",
        )
    return last


def whole_id(text: str, context: Context, client: GyozaClient) -> str:
    """Return the whole id that a word stands for, asking the server about beginnings."""
    run_id = given_id(text, context)
    return run_id if len(run_id) == _WHOLE_ID else client.get_run(run_id).id
