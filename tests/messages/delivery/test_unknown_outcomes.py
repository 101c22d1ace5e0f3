"""A message that its provider may have taken goes out once; its row says that nobody knows, until somebody does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from messages.due_messages import (
    EVENT_MESSAGE,
    FOLLOW_UP,
    NOON,
    OpenApp,
    Provider,
    follow_up_to,
    message_to,
    outcome_of,
    person_of,
)
from providers.receiver import Receiver, answers, receiving, says_nothing, writes
from support.app import client_of, due_in, ledger, restore_jobs
from tidings.app import App
from tidings.clock import ManualClock
from tidings.errors import Conflict, NotFound, SendError
from tidings.features.events.models import EventMessage
from tidings.features.followups.models import FollowUp
from tidings.messages.gate.standing import Admission
from tidings.messages.inbound.reports import StatusUpdate
from tidings.messages.ledger import DeliveryStatus
from tidings.messages.statuses import Status
from tidings.messages.unknown import Settlement

TOKEN = "t0ken-of-this-installation"
MITTO = {"mitto_api_key": "key", "mitto_sender": "Tidings", "mitto_callback_token": TOKEN, "http_timeout": 0.4}
QUICK = {"EVENT_MESSAGES_ATTEMPTS": "3", "EVENT_MESSAGES_BACKOFF": "0.05"}
TAKEN = answers("200 OK", b'{"id": "m-1", "responseCode": 0}')


def lost() -> SendError:
    return SendError("carrier did not answer in time", retryable=True, unknown=True)


async def send_by_mitto(open_app: OpenApp, mitto: Receiver, **settings: Any) -> tuple[App, EventMessage]:
    """An application at work whose SMS go to that server, and one of them, which has come to an end."""
    url = f"http://127.0.0.1:{mitto.port}/sms"
    app = await open_app(mitto_url=url, queue_settings=QUICK, **{**MITTO, **settings})
    message = await message_to(app, await person_of(app))
    await app.start_workers(["event-messages"])
    while (row := await app.events.get_message(message.id)).status in (Status.SCHEDULED, Status.SENDING):
        await asyncio.sleep(0.02)
    return app, row


async def report(app: App, body: dict[str, Any]) -> None:
    async with client_of(app) as http:
        response = await http.post(f"/webhooks/mitto/{TOKEN}", json=body)
        assert (response.status_code, response.json()) == (200, {"taken_as": "report"})


def reference_of(mitto: Receiver) -> str:
    [request] = mitto.requests
    reference: str = json.loads(request.body)["reference"]
    return reference


@pytest.mark.both_databases
async def test_a_slow_answer_is_one_sms_whose_outcome_is_unknown_until_the_report_comes(
    open_app: OpenApp, database_url: str
) -> None:
    async with receiving() as mitto:
        mitto.script = says_nothing
        app, row = await send_by_mitto(open_app, mitto, database_url=database_url)
        assert (row.status, row.attempts) == (Status.UNKNOWN, 1)
        assert "did not answer in time" in (row.error_message or "")
        assert await app.dead_letters.count_open() == {}
        [waiting] = await app.unknown.list_messages()
        assert (waiting.message, waiting.provider) == (f"event-message-{row.id}", "mitto")

        await report(app, {"msgId": "m-1", "status": "Delivered", "reference": reference_of(mitto)})
        row = await app.events.get_message(row.id)
        assert (row.status, row.error_message, row.attempts) == (Status.SENT, None, 1)
        assert row.actual_send_time is not None
        assert await app.unknown.list_messages() == []
        assert len(mitto.requests) == 1
    story = await app.why.explain(f"event-message-{row.id}")
    assert story.summary == "It was sent."
    assert any("nobody knows whether it was taken" in sentence for sentence in story.sentences)
    assert story.sentences[-1].endswith("the provider reported DELIVERED.")


async def test_a_report_of_a_failure_settles_it_as_failed(open_app: OpenApp) -> None:
    async with receiving() as mitto:
        mitto.script = says_nothing
        app, row = await send_by_mitto(open_app, mitto)
        body = {"msgId": "m-1", "status": "UNDELIVERABLE", "errorCode": "7", "reference": reference_of(mitto)}
        await report(app, body)
    row = await app.events.get_message(row.id)
    assert (row.status, row.error_message) == (Status.FAILED, "UNDELIVERABLE: 7")
    story = await app.why.explain(f"event-message-{row.id}")
    assert story.summary == "It failed: UNDELIVERABLE: 7."


async def test_a_report_that_comes_before_the_answer_was_given_up_settles_it_too(open_app: OpenApp) -> None:
    async with receiving() as mitto:
        mitto.script = says_nothing
        app = await open_app(mitto_url=f"http://127.0.0.1:{mitto.port}/sms", **{**MITTO, "http_timeout": 2.5})
        message = await message_to(app, await person_of(app))
        await app.start_workers(["event-messages"])
        await mitto.arrived.wait()
        await report(app, {"msgId": "m-1", "status": "Delivered", "reference": reference_of(mitto)})
        row = await app.events.get_message(message.id)
    assert (row.status, len(mitto.requests)) == (Status.SENT, 1)
    assert [line.delivery_status for line in await ledger(app, EVENT_MESSAGE, message.id)] == ["DELIVERED"]


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(writes(b"", hang_up=True), id="hangs up"),
        pytest.param(writes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", hang_up=True), id="half an answer"),
        pytest.param(answers("200 OK", b"<html>"), id="an answer that says nothing"),
        pytest.param(answers("504 Gateway Timeout"), id="a gateway that waited"),
    ],
)
async def test_whatever_leaves_the_outcome_open_has_it_sent_once(
    open_app: OpenApp, script: Callable[..., Awaitable[None]]
) -> None:
    async with receiving() as mitto:
        mitto.script = script
        _, row = await send_by_mitto(open_app, mitto)
        assert (row.status, len(mitto.requests)) == (Status.UNKNOWN, 1)


async def test_a_provider_that_was_not_reached_gets_the_message_when_it_is_there(open_app: OpenApp) -> None:
    async with receiving() as mitto:
        pass  # nobody listens there for now
    sending = asyncio.ensure_future(send_by_mitto(open_app, mitto))
    async with receiving(port=mitto.port) as there:
        there.script = TAKEN
        _, row = await sending
        assert (row.status, row.attempts, len(there.requests)) == (Status.SENT, 1, 1)


async def test_whoever_prefers_doubles_to_losses_has_it_sent_again(open_app: OpenApp) -> None:
    async with receiving() as mitto:

        async def answers_the_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await (says_nothing if len(mitto.requests) == 1 else TAKEN)(reader, writer)

        mitto.script = answers_the_second
        _, row = await send_by_mitto(open_app, mitto, unknown_outcome="send_again")
        assert (row.status, row.attempts) == (Status.SENT, 2)
        assert len({json.loads(request.body)["reference"] for request in mitto.requests}) == 1


async def test_a_provider_that_drops_repetitions_gets_it_again_under_the_same_key(open_app: OpenApp) -> None:
    async with receiving() as n8n:

        async def answers_the_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await (says_nothing if len(n8n.requests) == 1 else answers("200 OK"))(reader, writer)

        n8n.script = answers_the_second
        url = f"http://127.0.0.1:{n8n.port}/hook"
        app = await open_app(n8n_outbound_webhook_url=url, http_timeout=0.4, queue_settings=QUICK)
        message = await message_to(app, await person_of(app))
        await app.start_workers(["event-messages"])
        while (row := await app.events.get_message(message.id)).status != Status.SENT:
            await asyncio.sleep(0.02)
        assert row.attempts == 2
        assert len({request.headers["idempotency-key"] for request in n8n.requests}) == 1


@pytest.fixture
async def held(open_app: OpenApp, database_url: str) -> tuple[App, EventMessage, Provider]:
    """A message whose outcome is unknown, and its provider, which answers from now on."""
    provider = Provider(lost())
    app = await open_app(clock=ManualClock(NOON), database_url=database_url, providers={"sms": provider})
    message = await message_to(app, await person_of(app))
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == "unknown"
    return app, await app.events.get_message(message.id), provider


async def test_somebody_who_knows_that_it_was_sent_says_so(held: tuple[App, EventMessage, Provider]) -> None:
    app, message, provider = held
    name = f"event-message-{message.id}"
    assert await app.unknown.settle(name, Settlement.SENT) is Status.SENT
    assert [line.outcome for line in await ledger(app, EVENT_MESSAGE, message.id)] == ["unknown", "sent"]
    assert await app.inbound.receive_status(StatusUpdate(DeliveryStatus.DELIVERED, message=name))
    assert await app.unknown.list_messages() == []
    assert "somebody noted that it was sent" in " ".join((await app.why.explain(name)).sentences)
    assert len(provider.asked) == 1
    with pytest.raises(Conflict, match="is sent already; only an unknown outcome can be settled"):
        await app.unknown.settle(name, Settlement.AGAIN)


@pytest.mark.both_databases
async def test_somebody_who_has_it_sent_again_gets_it_sent_at_once_under_the_same_key(
    held: tuple[App, EventMessage, Provider],
) -> None:
    app, message, provider = held
    name = f"event-message-{message.id}"
    assert isinstance(app.clock, ManualClock)
    app.clock.move(timedelta(days=2))  # at its old time it would be of no use
    assert await app.unknown.settle(name, Settlement.AGAIN) is Status.SCHEDULED
    assert (await due_in(app, EVENT_MESSAGE, message.id) or 0) < 0.001  # BullMQ knows whole milliseconds
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == "sent"
    assert provider.asked == [message_key(app, message)] * 2
    lines = await ledger(app, EVENT_MESSAGE, message.id)
    assert [line.outcome for line in lines] == ["unknown", "again", "sent"]
    assert "somebody asked for it to be sent again" in " ".join((await app.why.explain(name)).sentences)
    assert await app.unknown.list_messages() == []


def message_key(app: App, message: EventMessage) -> str:
    return app.kinds[EVENT_MESSAGE].idempotency_key(message.id, message.created_at)


async def test_it_is_not_sent_again_by_mistake(held: tuple[App, EventMessage, Provider]) -> None:
    app, message, provider = held
    for change in (
        app.events.cancel_event_message(message.id),
        app.events.reschedule_event_message(message.id, NOON.isoformat()),
    ):
        with pytest.raises(Conflict, match="may have left, which is to be settled first"):
            await change
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == "skipped: unknown"
    assert await restore_jobs(app) == 0
    assert len(provider.asked) == 1


@pytest.mark.both_databases
async def test_over_http_the_unknown_ones_are_listed_and_settled(held: tuple[App, EventMessage, Provider]) -> None:
    app, message, _ = held
    name = f"event-message-{message.id}"
    async with client_of(app) as http:
        [found] = (await http.get("/messages/unknown")).json()
        assert (found["message"], found["channel"], found["provider"]) == (name, "sms", "carrier")
        assert (await http.get("/messages/unknown", params={"after_id": found["id"]})).json() == []
        assert (await http.post(f"/messages/{name}/settle", json={"as": "lost"})).status_code == 422
        settled = await http.post(f"/messages/{name}/settle", json={"as": "sent"})
        assert settled.json() == {"message": name, "status": "sent"}
        assert (await http.post(f"/messages/{name}/settle", json={"as": "again"})).status_code == 409
        assert (await http.post("/messages/event-message-99/settle", json={"as": "sent"})).status_code == 404
        assert (await http.post("/messages/pigeon-1/settle", json={"as": "sent"})).status_code == 404


async def test_what_does_not_exist_cannot_be_settled(held: tuple[App, EventMessage, Provider]) -> None:
    app, _, _ = held
    for name in ("event-message-99", "pigeon-1"):
        with pytest.raises(NotFound):
            await app.unknown.settle(name, Settlement.SENT)


@pytest.mark.both_databases
async def test_it_keeps_its_place_in_the_caps_and_its_series_goes_on(open_app: OpenApp, database_url: str) -> None:
    provider = Provider(lost())
    app = await open_app(
        clock=ManualClock(NOON), database_url=database_url, providers={"sms": provider}, frequency_caps="1/1d"
    )
    person = await person_of(app)
    more = {"is_recurring": True, "recurrence_interval_days": 7}
    first, second = await follow_up_to(app, person, **more), await follow_up_to(app, person)
    assert await outcome_of(app, FOLLOW_UP, first.id) == "unknown"
    assert await outcome_of(app, FOLLOW_UP, second.id) != "sent"
    async with app.work.read() as session:
        assert await session.scalar(select(func.count()).select_from(Admission)) == 1
        row = await session.get(FollowUp, first.id)
        assert row is not None
        assert row.next_occurrence_id is not None
    await app.unknown.settle(f"follow-up-{first.id}", Settlement.AGAIN)
    assert await outcome_of(app, FOLLOW_UP, first.id) == "sent"
    async with app.work.read() as session:
        assert await session.scalar(select(func.count()).where(FollowUp.is_recurring)) == 2
