"""The HTTP application: routers in, one FastAPI out, with its middleware, errors and OpenAPI description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware

from tidings.web.access import HEALTH_PATHS, OPEN_PREFIXES, Access, HolderOfKey, usable_key
from tidings.web.errors import HANDLERS, Problem, UnexpectedErrors
from tidings.web.limits import BodyLimit
from tidings.web.request_id import RequestIds
from tidings.web.routing import SCHEMAS


def create_application(
    *,
    routers: Sequence[APIRouter],
    parts: Mapping[type[Any], Any],
    api_key: str | None,
    max_body_bytes: int,
    version: str,
    holder_of_key: HolderOfKey | None = None,
) -> FastAPI:
    """Puts the HTTP side together. Routes ask for `parts` by their type (`provided`).

    With `api_key` every route needs it but the health probes and those under /webhooks/, which check their
    callers themselves; without (None or blank) only requests that name a loopback host are answered, so a test
    client has to call `http://localhost`, not `http://test`. `holder_of_key` tells whose another key is, which opens
    its holder's addresses alone.

    The function names of all routers have to differ: they are the operation ids in /openapi.json. There are
    no /docs and /redoc pages, because FastAPI's load their scripts from the internet, which Tidings never needs.
    """
    application = _Application(
        title="Tidings",
        version=version,
        docs_url=None,
        redoc_url=None,
        # The routes themselves: `include_router` would build each of them anew for every application.
        routes=[route for router in routers for route in router.routes],
        exception_handlers=HANDLERS,
        middleware=[  # from the outside in
            Middleware(RequestIds),
            Middleware(UnexpectedErrors),
            Middleware(Access, api_key=api_key, holder_of_key=holder_of_key),
            Middleware(BodyLimit, max_body_bytes=max_body_bytes),
        ],
    )
    application.needs_key = usable_key(api_key) is not None
    application.state.parts = parts
    return application


class _Application(FastAPI):
    """FastAPI whose description also has the parts that live in middleware: problems and the API key."""

    needs_key = False

    def openapi(self) -> dict[str, Any]:
        schema = super().openapi()  # the same dictionary every time
        components = schema.setdefault("components", {})
        problem = Problem.model_json_schema(ref_template=SCHEMAS + "{model}")
        components.setdefault("schemas", {}).update(problem.pop("$defs"), Problem=problem)
        if self.needs_key:
            components["securitySchemes"] = {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            }
            schema["security"] = [{"bearer": []}, {"header": []}]
            for path, operations in schema["paths"].items():
                if path in HEALTH_PATHS or path.startswith(OPEN_PREFIXES):
                    for operation in operations.values():
                        operation["security"] = []
        return schema
