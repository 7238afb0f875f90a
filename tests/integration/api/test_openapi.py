"""The OpenAPI document: committed, complete, and about this server."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gyoza.server.api import openapi
from gyoza.server.api.app import OPERATIONS
from tests.integration.api.driver import Api

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[3]
REMEDY = "run: python scripts/openapi_reference.py > docs/reference/openapi.json"
COMMITTED = ROOT / "docs/reference/openapi.json"


async def test_the_committed_document_is_current(api: Api) -> None:
    served = (await api.get("/openapi.json")).text

    assert COMMITTED.read_text() == served, REMEDY


def test_every_operation_of_the_contract_is_there_under_its_id() -> None:
    table = (ROOT / "docs/architecture/contracts.md").read_text()
    rows = [line.split("|") for line in table.splitlines() if re.match(r"\| [A-Z]+ `/", line)]
    promised = {name.strip() for row in rows for name in row[2].split(",")} - {""}

    assert promised
    assert promised <= {operation.id for operation in OPERATIONS}


def test_operation_ids_are_unique() -> None:
    ids = [operation.id for operation in OPERATIONS]

    assert len(ids) == len(set(ids))


async def test_every_reference_in_the_document_leads_somewhere(api: Api) -> None:
    described = (await api.get("/openapi.json")).json()

    names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(described)))

    assert names <= set(described["components"]["schemas"])


async def test_the_document_is_openapi_3_1_and_names_no_other_host(api: Api) -> None:
    described = (await api.get("/openapi.json")).text

    assert json.loads(described)["openapi"].startswith("3.1")
    assert not re.findall(r"https?://", described)


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
async def test_there_is_no_page_that_loads_from_elsewhere(api: Api, path: str) -> None:
    assert (await api.send("GET", path)).status_code == 404


def test_the_text_form_is_stable() -> None:
    assert openapi.text({"b": 1, "a": "ü"}) == '{\n  "b": 1,\n  "a": "ü"\n}\n'
