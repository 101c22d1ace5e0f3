"""What client generators rely on, and that nothing is loaded from the internet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

from tidings.web.application import create_application
from tidings.web.health import Probe, queue_router


class Thing(BaseModel):
    name: str


def build(api_key: str | None, *, lifespan: Any = None, probe: Probe | None = None) -> FastAPI:
    router = APIRouter()

    @router.post("/things/{number}")
    async def change_thing(number: int, thing: Thing) -> Thing:
        return thing

    routers = [router] if probe is None else [router, queue_router(probe)]
    return create_application(routers=routers, lifespan=lifespan, api_key=api_key, max_body_bytes=10, version="1.2.3")


class NoProbe:
    async def health(self) -> Any: ...

    async def metrics(self) -> Any: ...


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
    schema = await description(build("key", probe=NoProbe()))
    assert set(schema["components"]["securitySchemes"]) == {"bearer", "header"}
    assert schema["security"] == [{"bearer": []}, {"header": []}]
    open_paths = {path for path, item in schema["paths"].items() for op in item.values() if op.get("security") == []}
    assert open_paths == {"/health", "/queue/health"}
    assert "security" not in await description(build(None, probe=NoProbe()))


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/oauth2-redirect"])
async def test_there_is_no_page_that_loads_scripts_from_elsewhere(path: str) -> None:
    transport = httpx.ASGITransport(build(None))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        assert (await http.get(path)).status_code == 404


async def test_the_lifespan_frames_the_application() -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        steps.append("started")
        yield
        steps.append("stopped")

    application = build(None, lifespan=lifespan)
    async with application.router.lifespan_context(application):
        assert steps == ["started"]
    assert steps == ["started", "stopped"]
