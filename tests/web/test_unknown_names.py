"""No route of the application ignores a query parameter or a field that it does not know."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi.routing import RouteContext, iter_route_contexts

from support.app import client_of
from tidings.app import App

OpenApp = Callable[..., Awaitable[App]]

PROVIDER = "providers add parameters and fields of their own, and a callback that is refused is lost"
PROBE = "load balancers and monitors add parameters, and a probe that is refused has the process restarted"
PAGE = "browsers, mail programs, and the pages that hold the widget, add parameters such as a version"
STATIC = "a page of FastAPI's, which says the same whatever is asked"
EXEMPT = {
    "GET /health": PROBE,
    "GET /ready": PROBE,
    "GET /queue/health": PROBE,
    "GET /queue/metrics": PROBE,
    "GET /openapi.json": STATIC,
    "POST /webhooks/n8n/replies": PROVIDER,
    "POST /webhooks/n8n/statuses": PROVIDER,
    "POST /webhooks/mitto/{token}": PROVIDER,
    "POST /webhooks/shopify": PROVIDER,
    "POST /webhooks/shopify/": PROVIDER,
    "POST /webhooks/shopify/{topic:path}": PROVIDER,
    "GET /webhooks/whatsapp/cloud/{key}": PROVIDER,
    "POST /webhooks/whatsapp/cloud/{key}": PROVIDER,
    "POST /webhooks/whatsapp/qr/{session}": PROVIDER,
    "GET /widget/{widget_key}": PAGE,
    "GET /widget/{widget_key}/embed.js": PAGE,
    "GET /unsubscribe/{token}": PAGE,
    "POST /unsubscribe/{token}": PAGE,
    "POST /unsubscribe/{token}/undo": PAGE,
}
"""The routes that do not refuse, each with the reason."""

FILES = ("POST /shops/{domain}/consents/import",)
"""Routes whose body is a file, which has columns instead of fields; those of other programs' exports are left out."""


@pytest.fixture
async def app(open_app: OpenApp, new_sqlite_database: Callable[[], str]) -> App:
    found: App = await open_app(database_url=new_sqlite_database())
    return found


@pytest.fixture
async def http(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


def routes_of(app: App) -> Iterator[tuple[str, str, RouteContext]]:
    """Every HTTP route with its method and its path, as both are declared."""
    for route in iter_route_contexts(app.http().routes):
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield method, str(route.path), route


def address(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "1", path)


async def test_every_route_refuses_a_query_parameter_that_it_does_not_know(app: App, http: httpx.AsyncClient) -> None:
    refusing = []
    for method, path, _ in routes_of(app):
        answer = await http.request(method, address(path), params={"blahblah": "1"})
        named = [one["field"] for one in answer.json().get("errors") or []] if answer.status_code == 422 else []
        if "blahblah" in named:
            refusing.append(f"{method} {path}")
    everything = [f"{method} {path}" for method, path, _ in routes_of(app)]
    assert sorted(set(everything) - set(refusing)) == sorted(EXEMPT)


async def test_a_filter_that_a_list_does_not_have_is_refused_instead_of_listing_everybody(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.get("/event-messages", params={"contractor": "1"})
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        "contractor: is not a parameter of GET /event-messages; did you mean contractor_id?",
    )


async def test_every_route_refuses_a_field_that_it_does_not_know(app: App, http: httpx.AsyncClient) -> None:
    ignoring = []
    for method, path, route in routes_of(app):
        if f"{method} {path}" in (*EXEMPT, *FILES) or not getattr(route, "body_field", None):
            continue
        nameless: Any = {"blahblah": 1}
        for body, field in ((nameless, "blahblah"), ([nameless], "0.blahblah")):
            answer = await http.request(method, address(path), json=body)
            if answer.status_code == 422 and field in [one["field"] for one in answer.json()["errors"]]:
                break
        else:
            ignoring.append(f"{method} {path}: {answer.text}")
    assert ignoring == []


async def test_every_route_without_a_body_refuses_one(app: App, http: httpx.AsyncClient) -> None:
    ignoring = []
    for method, path, route in routes_of(app):
        if f"{method} {path}" in EXEMPT or getattr(route, "body_field", None):
            continue
        answer = await http.request(method, address(path), json={"name": "Ada"})
        if answer.status_code != 422 or f"{method} {path}" not in answer.text:
            ignoring.append(f"{method} {path}: {answer.status_code}")
    assert ignoring == []


async def test_the_description_says_that_no_more_fields_are_taken(app: App) -> None:
    schema = app.http().openapi()

    def named(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            yield from ([value["$ref"].rpartition("/")[2]] if "$ref" in value else ())
            for below in value.values():
                yield from named(below)
        elif isinstance(value, list):
            for below in value:
                yield from named(below)

    wanted = [
        name
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if f"{method.upper()} {path}" not in EXEMPT
        for name in named(operation.get("requestBody"))
    ]
    seen: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in seen:
            seen.add(name)
            wanted += named(schema["components"]["schemas"][name])
    objects = {name for name in seen if schema["components"]["schemas"][name].get("type") == "object"}
    assert len(objects) > 30
    assert {
        name for name in objects if schema["components"]["schemas"][name].get("additionalProperties") is not False
    } == set()
