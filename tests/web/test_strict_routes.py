"""A request that asks for something that a route does not know is refused, with everything that is wrong with it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from tidings.web.application import create_application
from tidings.web.routing import new_router

LIMIT = "is not a parameter of GET /people; did you mean limit?"
TAKES = "is not a parameter of GET /people; it takes limit, after_id, q, tag, fields"


class Address(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    city: str
    zip_code: str = Field("", alias="zipCode")


class Person(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    addresses: list[Address] = []
    home: Address | None = None
    by_kind: dict[str, Address] = {}


async def columns(fields: str = "all") -> str:
    return fields


strict = new_router()
open_to_more = new_router(strict=False)


@strict.get("/people")
async def list_people(
    shown: Annotated[str, Depends(columns)],
    limit: Annotated[int, Query(ge=1)] = 10,
    after_id: int = 0,
    question: Annotated[str | None, Query(alias="q")] = None,
    tag: Annotated[list[str] | None, Query()] = None,
) -> dict[str, Any]:
    return {"limit": limit, "after_id": after_id, "q": question, "tag": tag}


@strict.post("/people/{person_id}")
async def change_person(person_id: int, person: Person, dry: bool = False) -> None:
    return None


@strict.post("/people/{person_id}/greet")
async def greet(person_id: int) -> int:
    return person_id


@open_to_more.post("/told")
async def told() -> str:
    return "thanks"


def client(*routers: APIRouter) -> httpx.AsyncClient:
    application = create_application(parts={}, routers=routers, api_key=None, max_body_bytes=1_000_000, version="1")
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://localhost")


async def refusal(http: httpx.AsyncClient, method: str, path: str, **options: Any) -> dict[str, str]:
    response = await http.request(method, path, **options)
    assert response.status_code == 422, response.text
    return {error["field"]: error["message"] for error in response.json()["errors"]}


async def test_an_unknown_parameter_is_told_with_the_nearest_right_one_and_where_none_is_near_with_all() -> None:
    cases = {
        "limti=5": {"limti": LIMIT},
        "LIMIT=5": {"LIMIT": LIMIT},
        "limit=5&limits=6": {"limits": LIMIT},
        "afterId=1": {"afterId": "is not a parameter of GET /people; did you mean after_id?"},
        "after-id=1": {"after-id": "is not a parameter of GET /people; did you mean after_id?"},
        "field=name": {"field": "is not a parameter of GET /people; did you mean fields?"},
        "question=x": {"question": TAKES},
        "offset": {"offset": TAKES},
        "=5": {"": TAKES},
        "a=1&b=2&b=3": {"a": TAKES, "b": TAKES},
        "limit=1&limit=2": {"limit": "is given 2 times; give it once"},
        "limit=many&limti=1": {
            "limti": LIMIT,
            "limit": "must be a valid integer, unable to parse string as an integer",
        },
    }
    async with client(strict) as http:
        for query, expected in cases.items():
            assert await refusal(http, "GET", f"/people?{query}") == expected, query


async def test_what_is_known_goes_through_also_by_another_name_and_many_times_where_many_are_taken() -> None:
    async with client(strict) as http:
        answer = await http.get("/people?limit=5&after_id=2&q=ada&tag=a&tag=b&fields=name")
    assert answer.json() == {"limit": 5, "after_id": 2, "q": "ada", "tag": ["a", "b"]}


async def test_the_sentence_names_the_parameter_and_the_route() -> None:
    async with client(strict) as http:
        problem = (await http.get("/people?limti=5")).json()
        nothing = (await http.post("/people/7/greet?loud=1")).json()
        nameless = (await http.get("/people?=5")).json()
    assert (problem["type"], problem["detail"]) == ("/problems/invalid-input", f"limti: {LIMIT}")
    assert nameless["detail"] == f"the query: {TAKES}"
    assert nothing["detail"] == "loud: is not a parameter of POST /people/{person_id}/greet; it takes none"


async def test_all_that_is_wrong_with_a_request_is_told_at_once() -> None:
    body = {
        "nmae": "Ada",
        "addresses": [{"city": "Flint"}, {"city": "Bonn", "zipcode": "53111", "country": "DE"}],
        "home": {"town": "Bonn"},
        "by_kind": {"work": {"city": "Bonn", "zip": "53111"}},
    }
    async with client(strict) as http:
        found = await refusal(http, "POST", "/people/ada?drry=1&name=Ada", json=body)
    route = "POST /people/{person_id}"
    assert found == {
        "drry": f"is not a parameter of {route}; did you mean dry?",
        "name": "is missing",
        "person_id": "must be a valid integer, unable to parse string as an integer",
        "nmae": "is not a known field; did you mean name?",
        "addresses.1.zipcode": "is not a known field; did you mean zipCode?",
        "addresses.1.country": "is not a known field; the object takes city, zipCode",
        "home.city": "is missing",
        "home.town": "is not a known field; the object takes city, zipCode",
        "by_kind.work.zip": "is not a known field; did you mean zipCode?",
    }


async def test_a_field_in_the_query_is_told_to_belong_into_the_body() -> None:
    async with client(strict) as http:
        found = await refusal(http, "POST", "/people/1?name=Ada", json={"name": "Ada"})
    assert found == {"name": "is not a parameter of POST /people/{person_id}; send it in the JSON body"}


async def test_a_body_that_nobody_can_read_is_still_that() -> None:
    async with client(strict) as http:
        response = await http.post(
            "/people/1?dyr=1", content=b'{"name"', headers={"Content-Type": "application/json"}
        )
    assert (response.status_code, response.json()["type"]) == (400, "/problems/malformed-body")


async def test_a_body_where_none_is_taken_is_refused_unless_it_says_nothing() -> None:
    async def streamed() -> Any:
        yield b'{"loud": '
        yield b"true}"

    async with client(strict) as http:
        for content in (b'{"loud": true}', b"[1]", b"loud", streamed()):
            found = await refusal(http, "POST", "/people/7/greet", content=content)
            assert found == {"": "is not wanted: POST /people/{person_id}/greet takes none; leave it out"}
        for nothing in (b"", b" ", b"{}", b"null"):
            assert (await http.post("/people/7/greet", content=nothing)).json() == 7


async def test_nothing_is_done_about_a_request_that_is_refused() -> None:
    done: list[int] = []
    router = new_router()

    @router.post("/count")
    async def count(step: int = 1) -> None:
        done.append(step)

    async with client(router) as http:
        await refusal(http, "POST", "/count?stpe=2")
        assert done == []
        assert (await http.post("/count?step=2")).status_code == 200
    assert done == [2]


async def test_where_other_peoples_machines_call_more_is_taken() -> None:
    async with client(open_to_more) as http:
        answer = await http.post("/told?utm_source=mail&a=1&a=2", json={"more": 1})
    assert answer.json() == "thanks"


async def test_thousands_of_unknown_names_are_refused_fast_and_a_hundred_are_listed() -> None:
    names = {f"unknown_{number}_{'x' * 40}": number for number in range(1000)}
    async with client(strict) as http:
        for options in ({"params": names}, {"content": json.dumps({"name": "Ada", **names})}):
            method, path = ("GET", "/people") if "params" in options else ("POST", "/people/1")
            response = await http.request(method, path, headers={"Content-Type": "application/json"}, **options)
            problem = response.json()
            assert (len(problem["errors"]), problem["moreErrors"]) == (100, 900)
            assert problem["detail"].startswith("1000 values cannot be used. ")
