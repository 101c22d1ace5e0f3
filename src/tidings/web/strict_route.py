"""Routes that refuse what they do not know, instead of doing something else than what was asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from copy import copy
from dataclasses import replace
from typing import Any, get_args, get_origin

from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from tidings.validation import names_below, offer
from tidings.web.errors import MAX_LISTED, body_type

Answer = Callable[[Request], Awaitable[Response]]

_SAYS_NOTHING = (b"", b"{}", b"null")  # what clients send that always send some JSON


class StrictRoute(APIRoute):
    """A route that answers 422 to query parameters that it does not have or that come twice, and to unwanted bodies.

    What else is wrong with such a request is told with it. A request that has neither costs nothing worth mentioning:
    which parameters there are is known when the route is made.
    """

    def get_route_handler(self) -> Any:
        answer: Answer = super().get_route_handler()
        parameters = dict(_query_parameters(self.dependant))
        takes_body = self.body_field is not None

        async def answer_known(request: Request) -> Response:
            found = self._unknown(request, parameters) if request.scope["query_string"] else []
            if not takes_body and _has_body(request) and (await request.body()).strip() not in _SAYS_NOTHING:
                found.append(_mistake(("body",), f"is not wanted: {_name(self, request)} takes none; leave it out"))
            if found:
                raise RequestValidationError([*found, *await self._else_wrong(request)])
            return await answer(request)

        return answer_known

    def _unknown(self, request: Request, parameters: dict[str, bool]) -> list[dict[str, Any]]:
        """What is wrong with the query's names; `parameters` says which ones may come many times."""
        in_body, found = names_below(body_type(self), ()), list[dict[str, Any]]()
        for name, count in Counter(name for name, _ in request.query_params.multi_items()).items():
            if name not in parameters:
                hint = "; send it in the JSON body" if name in in_body else ""
                if not hint and len(found) < MAX_LISTED:
                    hint = offer(name, parameters)
                found.append(_mistake(("query", name), f"is not a parameter of {_name(self, request)}{hint}"))
            elif count > 1 and not parameters[name]:
                found.append(_mistake(("query", name), f"is given {count} times; give it once"))
        return found

    async def _else_wrong(self, request: Request) -> list[Any]:
        """What FastAPI would say about the rest of the request. Nothing is done about it."""
        checking = copy(self)
        checking.dependant = replace(self.dependant, call=_is_sound)
        try:
            await APIRoute.get_route_handler(checking)(request)
        except RequestValidationError as error:
            if error.errors()[0]["type"] == "json_invalid":
                raise  # as long as nobody can read the body
            return list(error.errors())
        except _Sound:
            pass
        return []


class _Sound(Exception):
    """The rest of a request can be used."""


async def _is_sound(**values: Any) -> None:
    raise _Sound


def _query_parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """The names of the query's parameters, of dependencies as well, and whether each may come many times."""
    for field in dependant.query_params:
        yield field.validation_alias or field.alias, _takes_many(field.field_info.annotation)
    for below in dependant.dependencies:
        yield from _query_parameters(below)


def _takes_many(kind: Any) -> bool:
    return get_origin(kind) in (list, set, frozenset, tuple) or any(_takes_many(part) for part in get_args(kind))


def _has_body(request: Request) -> bool:
    """RFC 9112, section 6: a Content-Length or a Transfer-Encoding says so."""
    headers = request.headers
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _name(route: APIRoute, request: Request) -> str:
    return f"{request.method} {route.path_format}"


def _mistake(location: tuple[str, ...], message: str) -> dict[str, Any]:
    return {"type": "unknown", "loc": location, "msg": message, "input": None}
