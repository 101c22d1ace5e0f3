"""What a workflow answers and reports, through the whole application: a report concerns its own message alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from events.test_sending import alert, ended, event_with_person
from providers.receiver import Receiver, Script, receiving
from support.app import client_of
from tidings.app import App
from tidings.messages.statuses import Status

OpenApp = Callable[..., Awaitable[App]]
SECRET = {"x-tidings-secret": "s3cret"}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


def echo(receiver: Receiver) -> Script:
    """What a webhook with "When Last Node Finishes" answers whose only node is the webhook: the request's body."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = receiver.requests[-1].body
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    return script


async def test_a_report_about_a_message_whose_workflow_echoes_it_reaches_that_message_and_no_other(
    receiver: Receiver, open_app: OpenApp, database_url: str
) -> None:
    receiver.script = echo(receiver)
    app = await open_app(
        database_url=database_url,
        n8n_outbound_webhook_url=f"http://127.0.0.1:{receiver.port}/",
        n8n_inbound_secret="s3cret",
    )
    event_id, contractor_id = await event_with_person(app)
    await app.start_workers()
    other, _ = await app.events.create_contractor({"name": "Grace Hopper", "phone": "+18105550124"})
    ids = [
        (await app.events.schedule_event_message(alert(event_id, person, in_seconds=0))).id
        for person in (contractor_id, other.id)
    ]
    assert [(await ended(app, message_id)).status for message_id in ids] == [Status.SENT, Status.SENT]
    lines: list[dict[str, Any]] = await app.events.get_deliveries(event_id)
    assert [line["provider_message_id"] for line in lines] == [None, None]

    async with client_of(app) as client:
        unknown = {"message_id": ids[0], "status": "FAILED"}
        answer = await client.post("/webhooks/n8n/statuses", json=unknown, headers=SECRET)
        assert answer.status_code == 404
        named = {"message": f"event-message-{ids[0]}", "status": "FAILED"}
        answer = await client.post("/webhooks/n8n/statuses", json=named, headers=SECRET)
        assert answer.json() == {"changed": True}

    lines = await app.events.get_deliveries(event_id)
    assert {line["message_id"]: line["delivery_status"] for line in lines} == {ids[0]: "FAILED", ids[1]: "SENT"}
