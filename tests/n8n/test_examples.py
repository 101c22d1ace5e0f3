"""The workflows of the documentation: they import into the real n8n, send, drop repetitions and report."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import httpx

from events.test_sending import alert, ended, event_with_person
from n8n.server import N8n
from n8n.workflows import SECRET
from providers.n8n_recorded import HELLO
from support.app import serving
from support.sink import Sink
from support.workshop import eventually
from tidings.app import App
from tidings.messages.statuses import Status
from tidings.providers.base import Receipt
from tidings.providers.http import HttpClient
from tidings.providers.n8n import N8n as Provider

OpenApp = Callable[..., Awaitable[App]]


async def test_a_message_that_is_handed_over_again_is_sent_once(n8n: N8n) -> None:
    http = HttpClient(60)
    async with Sink() as carrier:
        provider = Provider(http, f"{n8n.webhook('sms-outbound')}?to={carrier.url}")
        assert await provider.send(HELLO) == Receipt("n8n", None)
        assert await provider.send(HELLO) == Receipt("n8n", None)
    await http.close()
    assert carrier.requests == {HELLO.idempotency_key: 1}
    assert carrier.taken == {HELLO.idempotency_key: {"to": HELLO.to, "text": HELLO.text, "reference": HELLO.name}}


async def test_a_message_that_the_provider_did_not_take_is_sent_by_the_next_attempt_and_its_delivery_reported(
    n8n: N8n, open_app: OpenApp, database_url: str
) -> None:
    answers = iter([(500, {})])
    async with Sink(lambda payload: next(answers, (200, {}))) as carrier:
        app = await open_app(
            database_url=database_url,
            n8n_outbound_webhook_url=f"{n8n.webhook('sms-outbound')}?to={carrier.url}",
            n8n_inbound_secret=SECRET,
            http_timeout=60.0,
            queue_settings={"EVENT_MESSAGES_BACKOFF": "0.05"},
        )
        event_id, person = await event_with_person(app)
        await app.start_workers()
        message = await app.events.schedule_event_message(alert(event_id, person, in_seconds=0))
        assert (await ended(app, message.id)).status == Status.SENT
    assert list(carrier.requests.values()) == [2]
    [taken] = carrier.taken.values()
    assert taken["reference"] == f"event-message-{message.id}"

    async def is_delivered() -> bool:
        return (await app.events.get_deliveries(event_id))[-1]["delivery_status"] == "DELIVERED"

    async with serving(app) as address, httpx.AsyncClient() as client:
        theirs = {"reference": taken["reference"], "status": "DELIVERED"}
        hook = f"{n8n.webhook('sms-status')}?to={address}/webhooks/n8n/statuses"
        await client.post(hook, content=json.dumps(theirs), headers={"content-type": "application/json"})
        await eventually(is_delivered, within=60)
