"""What client generators rely on, and that nothing is loaded from the internet."""

from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

from tidings.web import health
from tidings.web.application import create_application
from tidings.web.routing import new_router


class Thing(BaseModel):
    name: str


router = new_router()


@router.post("/things/{number}")
async def change_thing(number: int, thing: Thing) -> Thing:
    return thing


def build(api_key: str | None, *others: APIRouter) -> FastAPI:
    return create_application(
        parts={}, routers=[router, *others], api_key=api_key, max_body_bytes=10, version="1.2.3"
    )


async def description(application: FastAPI) -> dict[str, Any]:
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        response = await http.get("/openapi.json", headers={"X-API-Key": "key"})
        again = await http.get("/openapi.json", headers={"X-API-Key": "key"})
    assert again.json() == response.json()
    found: dict[str, Any] = response.json()
    return found


async def test_operations_are_named_after_their_functions() -> None:
    schema = await description(build(None))
    assert schema["info"] == {"title": "Tidings", "version": "1.2.3"}
    assert schema["paths"]["/things/{number}"]["post"]["operationId"] == "change_thing"


async def test_every_error_is_described_as_the_same_problem() -> None:
    schema = await description(build(None))
    responses = schema["paths"]["/things/{number}"]["post"]["responses"]
    assert set(responses) == {"200", "4XX", "5XX"}
    assert responses["4XX"]["content"] == {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }
    schemas = schema["components"]["schemas"]
    assert {"type", "title", "status", "detail", "instance", "requestId"} == set(schemas["Problem"]["required"])
    assert set(schemas) == {"Problem", "FieldProblem", "Thing"}


async def test_the_key_is_described_where_it_is_needed_and_only_there() -> None:
    schema = await description(build("key", health.router))
    assert set(schema["components"]["securitySchemes"]) == {"bearer", "header"}
    assert schema["security"] == [{"bearer": []}, {"header": []}]
    open_paths = {path for path, item in schema["paths"].items() for op in item.values() if op.get("security") == []}
    assert open_paths == {"/health", "/ready", "/queue/health"}
    assert "security" not in await description(build(None, health.router))


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/oauth2-redirect"])
async def test_there_is_no_page_that_loads_scripts_from_elsewhere(path: str) -> None:
    transport = httpx.ASGITransport(build(None))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        assert (await http.get(path)).status_code == 404
