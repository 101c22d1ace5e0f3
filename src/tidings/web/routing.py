"""Routes, built once a process: each is a function of its module, and is handed the parts that it asks for.

An application has one object of each type that routes may ask for; see `create_application`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection

from tidings.web.strict_route import StrictRoute

Part = TypeVar("Part")

SCHEMAS = "#/components/schemas/"
PROBLEM: dict[str, Any] = {
    "description": "Problem details (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"$ref": f"{SCHEMAS}Problem"}}},
}


def new_router(*, strict: bool = True, **options: Any) -> APIRouter:
    """A router whose answers are described as every route's are; `options` are FastAPI's.

    Its routes refuse what they do not know, unless `strict` is False: where machines of other people call, which add
    parameters of their own, and where a refusal would lose what they tell.
    The function names of all routers have to differ: they are the operation ids in /openapi.json.
    """
    return APIRouter(
        route_class=StrictRoute if strict else APIRoute,
        generate_unique_id_function=operation_id,
        responses={"4XX": PROBLEM, "5XX": PROBLEM},
        **options,
    )


def provided(part: type[Part]) -> Any:
    """A route's parameter that is the application's part of this type: `Annotated[Events, provided(Events)]`."""

    async def find(connection: HTTPConnection) -> Part:
        parts: Mapping[type[Any], Any] = connection.app.state.parts
        found: Part = parts[part]
        return found

    return Depends(find)


def operation_id(route: APIRoute) -> str:
    """A route's name in the description: that of its function."""
    return route.name
