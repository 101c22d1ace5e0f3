"""Every error is a problem that says what to change and gives nothing away (RFC 9457)."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from starlette.responses import StreamingResponse
from structlog.testing import capture_logs

from tidings import errors
from tidings.web.application import create_application

router = APIRouter()
raised: list[Exception] = []


class Slot(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str = Field(min_length=1)
    end_time: datetime | None = None


class Agenda(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    zone: str = "UTC"
    sessions: list[Slot] = []

    @field_validator("zone")
    @classmethod
    def known(cls, zone: str) -> str:
        if zone != "UTC":
            raise ValueError("is not an IANA timezone; write one like Europe/Berlin")
        return zone

    @model_validator(mode="after")
    def filled(self) -> "Agenda":
        if self.name == "empty":
            raise ValueError("an agenda needs sessions")
        return self


@router.get("/raise/{name}")
async def raise_it(name: str) -> None:
    raise raised.pop()


@router.get("/half")
async def half() -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("the other half is gone")

    return StreamingResponse(chunks())


@router.post("/agendas")
async def put_agenda(agenda: Agenda, limit: int = 10) -> str:
    return agenda.name


def client() -> httpx.AsyncClient:
    application = create_application(parts={}, routers=[router], api_key=None, max_body_bytes=1_000_000, version="1")
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://localhost")


async def problem_of(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == response.status_code
    assert problem["requestId"] == response.headers["x-request-id"]
    assert problem["title"]
    return problem


ROWS = [errors.BadRow(line, "phone", "is not a phone number") for line in range(2, 122)]


@pytest.mark.parametrize(
    ("error", "status", "kind", "detail"),
    [
        (errors.InvalidInput("date", "is missing"), 422, "invalid-input", "date: is missing"),
        (errors.InvalidInput("", "nothing to do"), 422, "invalid-input", "nothing to do"),
        (errors.TemplateError("there is no {{ nmae }}"), 422, "invalid-template", "there is no {{ nmae }}"),
        (errors.NotFound("event", 7), 404, "not-found", "there is no event 7"),
        (errors.Conflict("it was sent"), 409, "conflict", "it was sent"),
        (errors.TooLarge("the file is too long"), 413, "too-large", "the file is too long"),
        (errors.ConfigurationError("set SMTP_HOST"), 503, "configuration", "set SMTP_HOST"),
        (errors.UserError("choose another day"), 400, "bad-request", "choose another day"),
        (HTTPException(403, "not yours"), 403, "forbidden", "not yours"),
        (HTTPException(418), 418, "i-m-a-teapot", "I'm a Teapot"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_a_foreseen_error_names_its_kind_and_keeps_its_sentence(
    error: Exception, status: int, kind: str, detail: str
) -> None:
    raised.append(error)
    async with client() as http:
        response = await http.get("/raise/a%20b?token=secret")
    problem = await problem_of(response)
    assert (response.status_code, problem["type"], problem["detail"]) == (status, f"/problems/{kind}", detail)
    assert problem["instance"] == "/raise/a%20b"


async def test_an_invalid_field_is_listed_for_the_form_that_sent_it() -> None:
    raised.append(errors.InvalidInput("sessions.3.end_time", "is before start_time"))
    async with client() as http:
        problem = await problem_of(await http.get("/raise/it"))
    assert problem["errors"] == [{"field": "sessions.3.end_time", "message": "is before start_time"}]


async def test_bad_lines_of_a_file_are_listed_up_to_a_hundred_and_the_rest_is_counted() -> None:
    raised.append(errors.InvalidRows("guests.csv", ROWS))
    async with client() as http:
        problem = await problem_of(await http.get("/raise/it"))
    assert problem["errors"][0] == {"line": 2, "field": "phone", "message": "is not a phone number"}
    assert (len(problem["errors"]), problem["moreErrors"]) == (100, 20)
    assert problem["detail"] == (
        "guests.csv: 120 lines cannot be imported; nothing was imported. The first 100 are listed; 20 more are not."
    )


async def test_a_few_bad_lines_are_all_listed() -> None:
    raised.append(errors.InvalidRows("guests.csv", ROWS[:2]))
    async with client() as http:
        problem = await problem_of(await http.get("/raise/it"))
    assert [error["line"] for error in problem["errors"]] == [2, 3]
    assert "moreErrors" not in problem


async def test_an_unreachable_redis_is_a_503_that_does_not_name_the_server() -> None:
    raised.append(errors.QueueUnavailable("Redis does not answer: connecting to 10.0.0.7:6379"))
    async with client() as http:
        with capture_logs() as logs:
            problem = await problem_of(await http.get("/raise/it"))
    assert (problem["status"], problem["type"]) == (503, "/problems/queue-unavailable")
    assert "10.0.0.7" not in str(problem)
    assert any("10.0.0.7" in str(line) for line in logs)


@pytest.mark.parametrize("error", [RuntimeError("password=hunter2"), errors.SendError("no", retryable=False)])
async def test_an_unforeseen_error_is_logged_whole_and_shown_only_as_a_request_id(error: Exception) -> None:
    raised.append(error)
    async with client() as http:
        with capture_logs() as logs:
            response = await http.get("/raise/it", headers={"X-Request-Id": "call-7"})
    problem = await problem_of(response)
    assert (problem["status"], problem["type"], problem["requestId"]) == (500, "/problems/internal", "call-7")
    assert "call-7" in problem["detail"]
    assert "hunter2" not in response.text
    logged = next(line for line in logs if line["event"] == "unexpected_error")
    assert (logged["log_level"], logged["exc_info"], logged["path"]) == ("error", True, "/raise/it")


async def test_an_error_in_the_middle_of_an_answer_cuts_it_off_instead_of_ending_it_well() -> None:
    async with client() as http:
        with capture_logs() as logs, pytest.raises(RuntimeError, match="other half"):
            await http.get("/half")
    assert [line["event"] for line in logs] == ["unexpected_error", "request"]


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/nowhere", 404, "There is nothing at /nowhere."),
        ("GET", "/no/where/%3Cb%3E", 404, "There is nothing at /no/where/%3Cb%3E."),
        ("DELETE", "/agendas", 405, "/agendas does not take DELETE; it takes POST."),
    ],
)
async def test_an_unknown_path_or_method_is_a_problem_too(method: str, path: str, status: int, detail: str) -> None:
    async with client() as http:
        response = await http.request(method, path)
    problem = await problem_of(response)
    assert (problem["status"], problem["detail"]) == (status, detail)
    assert status != 405 or response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "name", "is missing"),
        ({"name": 7}, "name", "must be a valid string"),
        ({"name": "x", "nmae": 1}, "nmae", "is not a known field; did you mean name?"),
        ({"name": "x", "zone": "Berlin"}, "zone", "is not an IANA timezone; write one like Europe/Berlin"),
        ({"name": "x", "sessions": [{"title": ""}]}, "sessions.0.title", "must have at least 1 character"),
        ({"name": "x", "sessions": {}}, "sessions", "must be a valid list"),
        ({"name": "x", "sessions": [7]}, "sessions.0", "must be a JSON object"),
        ({"name": "empty"}, "", "an agenda needs sessions"),
        ([], "", "must be a JSON object, sent with Content-Type: application/json"),
    ],
)
async def test_each_unusable_value_is_named_with_what_is_wrong(body: Any, field: str, message: str) -> None:
    async with client() as http:
        response = await http.post("/agendas", json=body)
    problem = await problem_of(response)
    assert (problem["status"], problem["type"]) == (422, "/problems/invalid-input")
    assert problem["errors"] == [{"field": field, "message": message}]
    assert problem["detail"] == f"{field or 'the body'}: {message}"


async def test_a_time_that_is_none_is_said_to_be_one() -> None:
    async with client() as http:
        response = await http.post("/agendas", json={"name": "x", "sessions": [{"title": "a", "end_time": "soon"}]})
    [error] = (await problem_of(response))["errors"]
    assert error["field"] == "sessions.0.end_time"
    assert error["message"].startswith("must be a valid datetime")


async def test_a_query_parameter_is_named_as_it_was_written() -> None:
    async with client() as http:
        problem = await problem_of(await http.post("/agendas?limit=many", json={"name": "x"}))
    assert problem["errors"][0]["field"] == "limit"


@pytest.mark.parametrize(
    ("content", "content_type", "message"),
    [
        (None, None, "is missing; send JSON with Content-Type: application/json"),
        (b'{"name": "x"}', None, "must be a JSON object, sent with Content-Type: application/json"),
        (b'{"name": "x"}', "text/plain", "must be a JSON object, sent with Content-Type: application/json"),
    ],
)
async def test_a_body_without_its_content_type_is_told_which_one_to_send(
    content: bytes | None, content_type: str | None, message: str
) -> None:
    async with client() as http:
        headers = {"Content-Type": content_type} if content_type else {}
        problem = await problem_of(await http.post("/agendas", content=content, headers=headers))
    assert problem["errors"] == [{"field": "", "message": message}]


async def test_what_was_sent_is_not_sent_back() -> None:
    async with client() as http:
        body = {"name": ["secret " * 1000], "x" * 5000: 1, "sessions": [{"title": 1}] * 500}
        response = await http.post("/agendas", json=body)
    problem = await problem_of(response)
    assert "secret" not in response.text
    assert "x" * 201 not in response.text
    assert problem["detail"].startswith("502 values cannot be used. ")
    assert (len(problem["errors"]), problem["moreErrors"]) == (100, 402)


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b'{\n  "name": "x",\n}', "line 3, column 1: "),
        (b'{"name" "x"}', "line 1, column 9: Expecting ':' delimiter."),
        (b"name=x", "line 1, column 1: Expecting value."),
        (b'{"name": "a\tb"}', "line 1, column 12: Invalid control character."),
        (b'{"name": "\xff"}', "The body is not UTF-8: byte 10 fits no character."),
        (b"[" * 200_000, ""),
    ],
)
async def test_malformed_json_is_a_400_that_says_where(content: bytes, detail: str) -> None:
    async with client() as http:
        response = await http.post("/agendas", content=content, headers={"Content-Type": "application/json"})
    problem = await problem_of(response)
    assert response.status_code == 400
    assert detail in problem["detail"]
