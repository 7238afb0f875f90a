"""Who may use which operation: every operation against every kind of key."""

from __future__ import annotations

import re

import pytest

from gyoza.server.api.app import OPERATIONS
from gyoza.server.api.operations import Operation
from tests.integration.api.driver import Running

pytestmark = pytest.mark.anyio
KEYS = {"none": None, "caller": "caller-key", "worker": "worker-key", "wrong": "no-key"}

# Written by hand and complete: an operation without a line here fails, so that a new one cannot
# become open by oversight.
OPEN_TO = {
    "health": {"none", "caller", "worker", "wrong"},
    "readiness": {"none", "caller", "worker", "wrong"},
    "putArtifact": {"caller", "worker"},
    "getArtifact": {"caller", "worker"},
    "headArtifact": {"caller", "worker"},
    "resumeArtifact": {"caller", "worker"},
    "registerWorker": {"worker"},
    "heartbeat": {"worker"},
    "claim": {"worker"},
    "report": {"worker"},
    "release": {"worker"},
    "putDefinition": {"caller"},
    "listDefinitions": {"caller"},
    "getDefinition": {"caller"},
    "listDefinitionVersions": {"caller"},
    "getDefinitionVersion": {"caller"},
    "archiveDefinition": {"caller"},
    "getDefinitionSchema": {"caller"},
    "rollBackDefinition": {"caller"},
    "listLimits": {"caller"},
    "getLimits": {"caller"},
    "changeLimits": {"caller"},
    "listQuotas": {"caller"},
    "putQuota": {"caller"},
    "removeQuota": {"caller"},
    "submitRun": {"caller"},
    "submitBatch": {"caller"},
    "cancelRuns": {"caller"},
    "retryRuns": {"caller"},
    "listRuns": {"caller"},
    "getRun": {"caller"},
    "patchRun": {"caller"},
    "cancelRun": {"caller"},
    "retryRun": {"caller"},
    "addEvent": {"caller"},
    "listRunEvents": {"caller"},
    "listRunLogs": {"caller"},
    "listRunArtifacts": {"caller"},
    "explainRun": {"caller"},
    "listWorkers": {"caller"},
    "getWorker": {"caller"},
    "drainWorker": {"caller"},
    "resumeWorker": {"caller"},
    "removeWorker": {"caller"},
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
async def test_an_operation_opens_to_its_keys_only(running: Running, operation: Operation) -> None:
    path = re.sub(r"{\w+}", "x", operation.path)
    opened = set()

    async with running(api_key="caller-key", worker_key="worker-key") as api:
        for name, key in KEYS.items():
            headers = {} if key is None else {"X-API-Key": key}
            answer = await api.send(operation.method, path, headers=headers)
            if answer.status_code not in {401, 403}:
                opened.add(name)
            elif name in {"none", "wrong"}:
                assert answer.status_code == 401
            else:
                assert answer.status_code == 403

    assert opened == OPEN_TO[operation.id]


def test_the_matrix_has_no_line_for_an_operation_that_is_gone() -> None:
    assert set(OPEN_TO) == {operation.id for operation in OPERATIONS}


async def test_with_keys_any_host_name_will_do(running: Running) -> None:
    async with running(api_key="caller-key") as api:
        headers = {"Host": "gyoza.example", "X-API-Key": "caller-key"}
        answer = await api.get("/runs", headers=headers)

    assert answer.status_code == 200


async def test_a_key_is_in_no_answer_that_refuses_it(running: Running) -> None:
    async with running(api_key="caller-key", worker_key="worker-key") as api:
        answer = await api.get("/runs", headers={"X-API-Key": "sesame-open"})

    assert "sesame-open" not in answer.text
    assert "caller-key" not in answer.text
