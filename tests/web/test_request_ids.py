"""One id ties a caller's request to every log line and job it caused."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog
from fastapi import APIRouter
from structlog.testing import capture_logs

from tidings.log import current_request_id
from tidings.web.application import create_application

router = APIRouter()


@router.get("/id")
async def own_id() -> str:
    return current_request_id()


@router.get("/id/threaded")
def threaded_id() -> str:
    return current_request_id()


@router.get("/health")
async def health() -> str:
    return "ok"


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as captured:
        yield captured


def client() -> httpx.AsyncClient:
    application = create_application(parts={}, routers=[router], api_key=None, max_body_bytes=10, version="1")
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://localhost")


@pytest.mark.parametrize("given", ["a", "req_1234567890_abc123", "9f0c.7-x_Y", "x" * 100])
@pytest.mark.parametrize("path", ["/id", "/id/threaded"])
async def test_a_callers_request_id_is_used_and_returned(given: str, path: str) -> None:
    async with client() as http:
        response = await http.get(path, headers={"X-Request-Id": given})
    assert (response.json(), response.headers.get_list("x-request-id")) == (given, [given])


@pytest.mark.parametrize("given", [None, "", "x" * 101, "a b", 'a"b', "a\tb", "ä", "req\u2028x"])
async def test_an_id_that_could_forge_a_log_line_is_replaced(given: str | None) -> None:
    async with client() as http:
        headers = {} if given is None else {b"X-Request-Id": given.encode()}
        response = await http.get("/id", headers=headers)
    assert re.fullmatch(r"req_\d{13}_[0-9a-f]{6}", response.headers["x-request-id"])
    assert response.json() == response.headers["x-request-id"]


async def test_the_id_ends_with_its_request() -> None:
    async with client() as http:
        await http.get("/id", headers={"X-Request-Id": "mine"})
    assert "request_id" not in structlog.contextvars.get_contextvars()


async def test_a_request_leaves_one_line_without_its_query(logs: list[Any]) -> None:
    async with client() as http:
        await http.get("/id?phone=+18105550123")
        await http.get("/gone%0Aforged")
    assert [(line["method"], line["path"], line["status"], line["log_level"]) for line in logs] == [
        ("GET", "/id", 200, "info"),
        ("GET", "/gone%0Aforged", 404, "info"),
    ]
    assert all(line["event"] == "request" and 0 <= line["duration_ms"] < 10_000 for line in logs)
    assert "8105550123" not in str(logs)


async def test_probes_do_not_fill_the_log(logs: list[Any]) -> None:
    async with client() as http:
        await http.get("/health")
        await http.get("/queue/health")
    assert [line["log_level"] for line in logs] == ["debug", "debug"]


async def test_a_request_that_is_refused_has_an_id_and_a_line_too(logs: list[Any]) -> None:
    async with client() as http:
        response = await http.post("/id", content=b"x" * 11, headers={"X-Request-Id": "big"})
    assert (response.headers["x-request-id"], response.json()["requestId"]) == ("big", "big")
    assert [line["status"] for line in logs] == [413]
