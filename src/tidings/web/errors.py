"""Errors as problem details (RFC 9457): one sentence for people, one stable `type` for programs.

Every error response of Tidings is `application/problem+json`. The statuses follow the tree in `tidings.errors`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import responses as phrases
from typing import Any
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidings import errors, validation
from tidings.log import current_request_id, get_logger

MAX_LISTED = 100
"""Most entries in a problem's `errors`; how many more there are is said in `moreErrors`."""

log = get_logger(__name__)


class FieldProblem(BaseModel):
    """What is wrong with one value; `line` counts from 1 when the input was a file."""

    line: int | None = None
    field: str = Field(description="Dotted path of the value, e.g. sessions.3.end_time; empty for the whole input.")
    message: str


class Problem(BaseModel):
    """Problem details, RFC 9457 section 3.1, with the extension members `requestId`, `errors` and `moreErrors`."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[FieldProblem] | None = None
    more_errors: int | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of problem. Programs compare `type`, so a slug never changes."""

    status: int
    slug: str
    title: str


INVALID_INPUT = Kind(422, "invalid-input", "The input cannot be used")
INVALID_TEMPLATE = Kind(422, "invalid-template", "The template cannot be rendered")
MALFORMED_BODY = Kind(400, "malformed-body", "The body cannot be read")
BAD_REQUEST = Kind(400, "bad-request", "The request cannot be used")
UNAUTHORIZED = Kind(401, "unauthorized", "An API key is needed")
FORBIDDEN = Kind(403, "forbidden", "Not allowed")
NOT_FOUND = Kind(404, "not-found", "Not found")
METHOD_NOT_ALLOWED = Kind(405, "method-not-allowed", "The method is not allowed here")
CONFLICT = Kind(409, "conflict", "The present state forbids it")
TOO_LARGE = Kind(413, "too-large", "Too many bytes")
MISDIRECTED = Kind(421, "misdirected", "Not a name of this server")
INTERNAL = Kind(500, "internal", "Something went wrong inside")
CONFIGURATION = Kind(503, "configuration", "The configuration has to change")
QUEUE_UNAVAILABLE = Kind(503, "queue-unavailable", "The queues cannot be reached")
DATABASE_UNAVAILABLE = Kind(503, "database-unavailable", "The database cannot be used just now")

_BY_STATUS = {
    kind.status: kind
    for kind in (BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, METHOD_NOT_ALLOWED, CONFLICT, TOO_LARGE, INTERNAL)
}
_BY_ERROR: dict[type[Exception], Kind] = {
    errors.InvalidInput: INVALID_INPUT,
    errors.NotFound: NOT_FOUND,
    errors.Conflict: CONFLICT,
    errors.TooLarge: TOO_LARGE,
    errors.ConfigurationError: CONFIGURATION,
    errors.UserError: BAD_REQUEST,
    errors.TemplateError: INVALID_TEMPLATE,
}


def instance_of(scope: Scope) -> str:
    """The request's path as a URI reference (RFC 3986), without its query, which may hold secrets."""
    return quote(scope["path"], safe="/:@!$&'()*+,;=")


def respond(
    scope: Scope,
    kind: Kind,
    detail: str,
    *,
    found: Sequence[FieldProblem] | None = None,
    more: int = 0,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response that reports a problem; the first MAX_LISTED of `found` are listed, `more` only counted."""
    more += max(len(found or ()) - MAX_LISTED, 0)
    problem = Problem(
        type=f"/problems/{kind.slug}",
        title=kind.title,
        status=kind.status,
        detail=f"{detail}. The first {MAX_LISTED} are listed; {more} more are not." if more else detail,
        instance=instance_of(scope),
        request_id=current_request_id(),
        errors=None if found is None else list(found[:MAX_LISTED]),
        more_errors=more or None,
    )
    return JSONResponse(
        problem.model_dump(by_alias=True, exclude_none=True),
        status_code=kind.status,
        headers=dict(headers or {}),
        media_type="application/problem+json",
    )


async def _on_tidings_error(request: Request, error: errors.TidingsError) -> Response:
    kind = next(_BY_ERROR[kin] for kin in type(error).__mro__ if kin in _BY_ERROR)
    found: list[FieldProblem] | None = None
    more = 0
    if isinstance(error, errors.InvalidRows):
        found = [FieldProblem(line=row.line, field=row.field, message=row.message) for row in error.rows]
    elif isinstance(error, errors.InvalidInput):
        more = error.count - len(error.mistakes)
        found = [FieldProblem(field=one.field, message=one.message) for one in error.mistakes]
    return respond(request.scope, kind, str(error), found=found, more=more)


async def _on_unavailable(request: Request, error: errors.QueueUnavailable | errors.DatabaseUnavailable) -> Response:
    return _unavailable(request.scope, error)


def _unavailable(scope: Scope, error: errors.QueueUnavailable | errors.DatabaseUnavailable) -> Response:
    """Its text names the server, so it stays in the log."""
    if isinstance(error, errors.QueueUnavailable):
        log.warning("queue_unavailable", error=str(error))
        detail = "Redis does not answer. What is stored is safe; try again when Redis is back."
        return respond(scope, QUEUE_UNAVAILABLE, detail)
    log.warning("database_unavailable", error=str(error))
    detail = "The database does not answer, or is busy with others. Try again, or look whether this was done already."
    return respond(scope, DATABASE_UNAVAILABLE, detail, headers={"Retry-After": f"{error.retry_after:.0f}"})


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    status, headers = error.status_code, error.headers
    if status < 200 or status in (204, 205, 304):
        return Response(status_code=status, headers=dict(headers or {}))
    phrase = phrases.get(status, "Error")
    kind = _BY_STATUS.get(status) or Kind(status, re.sub(r"[^a-z]+", "-", phrase.lower()), phrase)
    path = instance_of(request.scope)
    detail = str(error.detail)
    if isinstance(error.__cause__, UnicodeDecodeError):
        kind, detail = MALFORMED_BODY, f"The body is not UTF-8: byte {error.__cause__.start} fits no character."
    elif status == 404 and detail == phrase:
        detail = f"There is nothing at {path}."
    elif status == 405 and detail == phrase:
        detail = f"{path} does not take {request.method}; it takes {(headers or {}).get('Allow', 'other methods')}."
    return respond(request.scope, kind, detail, headers=headers)


async def _on_invalid_request(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    if first["type"] == "json_invalid" and isinstance(error.body, str):
        at = json.JSONDecodeError(first["ctx"]["error"], error.body, first["loc"][-1])
        detail = f"The body is not JSON: line {at.lineno}, column {at.colno}: {at.msg.removesuffix(' at')}."
        return respond(request.scope, MALFORMED_BODY, detail)
    kind, mistakes = body_type(request.scope.get("route")), error.errors()
    found = [
        FieldProblem(field=validation.dotted(e["loc"][1:]), message=_message(e, kind)) for e in mistakes[:MAX_LISTED]
    ]
    if len(mistakes) == 1:
        named = found[0].field or "the " + mistakes[0]["loc"][0]
        detail = f"{named}: {found[0].message}"
    else:
        detail = f"{len(mistakes)} values cannot be used"
    return respond(request.scope, INVALID_INPUT, detail, found=found, more=len(mistakes) - len(found))


def body_type(route: Any) -> Any:
    """The type of the JSON body that a route of FastAPI's takes, None when it takes none."""
    field = getattr(route, "body_field", None)
    return field and field.field_info.annotation


def _message(error: Mapping[str, Any], body: Any) -> str:
    """Pydantic's message as the rest of a sentence that begins with the field's name."""
    message = validation.sentence(error, body, error["loc"][1:])
    if tuple(error["loc"]) == ("body",):
        message += {
            "is missing": "; send JSON with Content-Type: application/json",
            "must be a JSON object": ", sent with Content-Type: application/json",
        }.get(message, "")
    return message


HANDLERS: dict[int | type[Exception], Any] = {
    errors.UserError: _on_tidings_error,
    errors.TemplateError: _on_tidings_error,
    errors.QueueUnavailable: _on_unavailable,
    errors.DatabaseUnavailable: _on_unavailable,
    HTTPException: _on_http_exception,
    RequestValidationError: _on_invalid_request,
}
"""Exception handlers for `FastAPI(exception_handlers=…)`. What none of them takes reaches UnexpectedErrors."""


class UnexpectedErrors:
    """ASGI middleware: an error that nobody foresaw is logged with its traceback and answered with 500, no internals.

    Starlette's own handler for `Exception` sits outside all middleware, where the request id is gone. When the
    response has begun it is too late for an answer: the error goes on, and the server cuts the connection.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except (errors.QueueUnavailable, errors.DatabaseUnavailable) as error:  # of who looks for a key's holder
            if started:
                raise
            await _unavailable(scope, error)(scope, receive, send)
        except Exception:
            log.exception("unexpected_error", method=scope["method"], path=instance_of(scope))
            if started:
                raise
            detail = f"The error was logged; look for request {current_request_id()}."
            await respond(scope, INTERNAL, detail)(scope, receive, send)
