"""The shared endpoints over one application whose clock stands still, called from another machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
from sqlalchemy import func, select

from tidings.app import App
from tidings.messages.gate.opt_outs import OptOut
from tidings.messages.inbound.stored import StoredReply

OpenApp = Callable[..., Awaitable[App]]

NOW = datetime(2026, 11, 24, 17, tzinfo=UTC)
KEY, SECRET = "k3y-of-this-test", "s3cret-of-this-test"
PHONE = "+12125550123"


class Api:
    """An application, and how it answers."""

    def __init__(self, app: App, http: httpx.AsyncClient) -> None:
        self.app = app
        self.http = http

    async def __call__(
        self, method: str, path: str, body: Any = None, *, key: str | None = KEY, secret: str | None = SECRET
    ) -> tuple[int, Any]:
        """Status and JSON of an answer; a problem (RFC 9457) is checked for its form."""
        headers = {"X-API-Key": key, "X-Tidings-Secret": secret}
        response = await self.http.request(
            method, path, json=body, headers={name: value for name, value in headers.items() if value is not None}
        )
        answer = response.json()
        if response.status_code >= 400:
            assert response.headers["content-type"] == "application/problem+json"
            assert answer["status"] == response.status_code
        return response.status_code, answer

    async def hook(self, path: str, body: Any, expect: int = 200) -> Any:
        """What n8n gets, which has the secret and no API key."""
        status, answer = await self("POST", path, body, key=None)
        assert status == expect, answer
        return answer

    async def good(self, method: str, path: str, body: Any = None, expect: int = 200) -> Any:
        status, answer = await self(method, path, body, secret=None)
        assert status == expect, answer
        return answer

    async def fields(self, method: str, path: str, body: Any) -> list[str]:
        """The fields that a refusal (422) names; nothing was stored."""
        status, problem = await self(method, path, body)
        assert status == 422, problem
        assert await self.count(StoredReply) == await self.count(OptOut) == 0
        return [error["field"] for error in problem["errors"]]

    async def count(self, table: Any) -> int:
        async with self.app.work.read() as session:
            return await session.scalar(select(func.count()).select_from(table)) or 0

    async def sent_message(self) -> str:
        """The name of a message that Ada got."""
        app = self.app
        event = await app.events.create_event({"name": "DemoCon", "date": "2026-11-25", "timezone": "UTC"})
        person, _ = await app.events.create_contractor({"name": "Ada Abara", "phone": PHONE})
        message = await app.events.schedule_event_message(
            {
                "event_id": event.id,
                "contractor_id": person.id,
                "message_type": "pcr_request",
                "scheduled_time": NOW.isoformat(),
                "message_content": "How was it, 1 to 10?",
            }
        )
        await app.start_workers(["event-messages"])
        while (await app.events.get_message(message.id)).status != "sent":
            await asyncio.sleep(0.01)
        await app.stop_workers()
        return f"event-message-{message.id}"
