"""An application's HTTP endpoints as tests call them: JSON in, status and JSON out."""

from __future__ import annotations

import json
from typing import Any

import httpx


class Api:
    """Calls endpoints, and checks the form of what they refuse: a problem (RFC 9457)."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        """Status and JSON of an answer. `body` may be bytes, to be sent as they are."""
        content = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if content is not None else {}
        response = await self._http.request(method, path, content=content, headers=headers, params=query or None)
        answer = response.json()
        if response.status_code >= 400:
            assert response.headers["content-type"] == "application/problem+json"
            assert answer["status"] == response.status_code
            assert answer["instance"] == path.partition("?")[0]
            assert answer["detail"]
        return response.status_code, answer

    async def good(self, method: str, path: str, body: Any = None, *, expect: int = 200, **query: Any) -> Any:
        """What an endpoint answers that has nothing to refuse."""
        status, answer = await self(method, path, body, **query)
        assert status == expect, answer
        return answer

    async def refused(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, list[str]]:
        """Status and named fields of a refusal."""
        status, problem = await self(method, path, body, **query)
        assert 400 <= status < 500, problem
        return status, [error["field"] for error in problem.get("errors") or []]
