"""Messages of the whole application through the real n8n: each leaves once, counted at what the workflow calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import select

from events.test_crashes import all_ended, schedule_burst
from events.test_sending import alert, ended, event_with_person
from n8n.server import N8n, Owner
from n8n.workflows import MODES
from providers.n8n_recorded import BOOTING, WEBHOOKS
from support.sink import Sink
from tidings.app import App
from tidings.errors import SendError
from tidings.features.events.models import EventMessage
from tidings.messages.statuses import Status
from tidings.providers.http import HttpResponse
from tidings.providers.n8n_answers import read_answer

OpenApp = Callable[..., Awaitable[App]]


@pytest.fixture
async def carrier() -> AsyncIterator[Sink]:
    """What workflows send messages on to."""
    async with Sink() as sink:
        yield sink


def address(n8n: N8n, path: str, carrier: Sink) -> str:
    return f"{n8n.webhook(path)}?to={carrier.url}"


async def opened(open_app: OpenApp, database_url: str, webhook: str) -> App:
    """An application that gives n8n as much time as it needs where everybody shares two cores."""
    return await open_app(database_url=database_url, n8n_outbound_webhook_url=webhook, http_timeout=60.0)


async def test_messages_that_are_due_while_n8n_boots_leave_once_when_it_has(
    stopped: N8n, carrier: Sink, open_app: OpenApp, database_url: str
) -> None:
    app = await opened(open_app, database_url, address(stopped, "sms-at-once", carrier))
    event_id = await schedule_burst(app, 20, datetime.now(UTC))
    await app.start_workers()
    stopped.start()
    assert await all_ended(app, event_id) == {"sent": 20}
    await carrier.wait_for(20)
    assert set(carrier.requests.values()) == {1}
    assert {row.attempts for row in await rows_of(app)} == {1}


async def test_whatever_n8n_answers_while_it_boots_is_recorded_and_hands_nothing_over(stopped: N8n) -> None:
    seen = set()
    stopped.start()
    async with httpx.AsyncClient() as client:
        while b"Workflow was started" not in (answer := await answer_of(client, stopped)).body:
            seen.add((answer.status, answer.body))
            with pytest.raises(SendError) as caught:
                read_answer("n8n", answer, {"phone": "+1", "message": "hi"}, (), datetime.now(UTC))
            assert caught.value.away
    unknown = WEBHOOKS["unknown"]
    not_yet = unknown.status, unknown.body.replace(b"unknown", b"immediately")
    assert seen <= {not_yet, *((one.status, one.body) for one in BOOTING.values())}
    assert BOOTING["no-routes"].body in {body for _, body in seen}


async def answer_of(client: httpx.AsyncClient, n8n: N8n) -> HttpResponse:
    """The next answer of a webhook, as soon as n8n listens."""
    while True:
        try:
            answer = await client.post(n8n.webhook("immediately"), json={})
        except httpx.TransportError:
            continue
        return HttpResponse(answer.status_code, answer.headers, answer.content)


@pytest.mark.parametrize("path", MODES)
async def test_a_restart_in_a_burst_of_seventy_loses_nothing_and_sends_nothing_twice(
    stopped: N8n, carrier: Sink, open_app: OpenApp, database_url: str, path: str
) -> None:
    stopped.start()
    await stopped.takes(path)
    app = await opened(open_app, database_url, address(stopped, path, carrier))
    event_id = await schedule_burst(app, 70, datetime.now(UTC) + timedelta(seconds=1))
    await app.start_workers()
    await carrier.wait_for(15)
    await stopped.stop()
    stopped.start()
    assert await all_ended(app, event_id) == {"sent": 70}
    await carrier.wait_for(70)
    assert (len(carrier.requests), set(carrier.requests.values())) == (70, {1})


async def test_a_message_for_a_workflow_that_is_not_published_waits_and_leaves_once_it_is(
    n8n: N8n, owner: Owner, carrier: Sink, open_app: OpenApp, database_url: str
) -> None:
    app = await opened(open_app, database_url, address(n8n, "sms-later", carrier))
    event_id, person = await event_with_person(app)
    await app.start_workers()
    message = await app.events.schedule_event_message(alert(event_id, person, in_seconds=0))
    while (row := await app.events.get_message(message.id)).held_until is None or row.status != Status.SCHEDULED:
        await asyncio.sleep(0.02)
    assert "publish the workflow" in (row.error_message or "")
    await owner.publish("waiting")
    row = await ended(app, message.id)
    assert (row.status, row.attempts) == (Status.SENT, 1)
    await carrier.wait_for(1)
    assert list(carrier.requests.values()) == [1]


async def rows_of(app: App) -> Sequence[EventMessage]:
    async with app.work.read() as session:
        return (await session.scalars(select(EventMessage))).all()
