"""Routes are built once a process, and each application hands them its own parts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated

import httpx
from fastapi import FastAPI

from tidings.web.application import create_application
from tidings.web.routing import new_router, provided


@dataclass
class Shelf:
    books: str


router = new_router(tags=["shelves"])


@router.get("/books")
async def list_books(shelf: Annotated[Shelf, provided(Shelf)]) -> str:
    return shelf.books


def application(books: str) -> FastAPI:
    return create_application(
        parts={Shelf: Shelf(books)}, routers=[router], api_key=None, max_body_bytes=1000, version="1"
    )


async def get(app: FastAPI) -> str:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
        found: str = (await http.get("/books")).json()
        return found


async def test_applications_share_their_routes_and_not_their_parts() -> None:
    one, other = application("novels"), application("poems")
    answers = await asyncio.gather(*(get(app) for app in (one, other, one, other)))
    assert answers == ["novels", "poems", "novels", "poems"]


async def test_a_part_is_no_field_that_a_caller_could_send() -> None:
    operation = application("novels").openapi()["paths"]["/books"]["get"]
    assert "parameters" not in operation
    assert "requestBody" not in operation
    assert (operation["operationId"], operation["tags"]) == ("list_books", ["shelves"])
