"""Finding an op by the name somebody typed; a near miss is answered with the names that exist."""

from __future__ import annotations

import difflib

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.client import GyozaClient
from gyoza.client.errors import NotFound
from gyoza.models import OpDefinition


def find_op(client: GyozaClient, name: str, version: str | None) -> OpDefinition:
    """Return an op's definition.

    Raises:
        CliError: There is no such op or version; the hint names near ones.
    """
    try:
        return client.get_definition(name, version)
    except NotFound as error:
        if error.code == "VERSION_NOT_FOUND":
            versions = ", ".join(each.version for each in client.list_versions(name))
            raise CliError(
                error.message, ExitCode.NOT_FOUND, hint=f"its versions are {versions}"
            ) from error
        hint = _near([op.id for op in client.list_definitions()], name)
        raise CliError(f"no op is called {name!r}", ExitCode.NOT_FOUND, hint=hint) from error


def _near(names: list[str], typed: str) -> str:
    close = difflib.get_close_matches(typed, names, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    if names:
        return "`gyoza op list` shows what there is"
    return "there are no ops yet; `gyoza deploy PATH` registers one"
