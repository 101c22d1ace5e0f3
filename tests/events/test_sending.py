"""An event message on its whole way: scheduled, claimed, sent, recorded; and every way it can end otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.sink import Sink
from tidings.app import App
from tidings.clock import ManualClock
from tidings.features.events.kind import EventMessages
from tidings.features.events.models import EventMessage
from tidings.messages.statuses import Reason, Status

OpenApp = Callable[..., Awaitable[App]]


async def event_with_person(app: App, **person: Any) -> tuple[int, int]:
    """An event tomorrow and somebody who is not registered for it."""
    event = await app.events.create_event(
        {"name": "DemoCon", "date": (datetime.now(UTC) + timedelta(days=1)).date().isoformat(), "timezone": "UTC"}
    )
    contractor, _ = await app.events.create_contractor({"name": "Ada Abara", "phone": "+18105550123", **person})
    return event.id, contractor.id


def alert(event_id: int, contractor_id: int, in_seconds: float, **more: Any) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "contractor_id": contractor_id,
        "message_type": "speaker_alert",
        "scheduled_time": (datetime.now(UTC) + timedelta(seconds=in_seconds)).isoformat(),
        "message_content": "Hi {{ first_name }}, your session starts soon",
        **more,
    }


async def ended(app: App, message_id: int) -> EventMessage:
    """Waits until the message is no longer under way."""
    while True:
        row = await app.events.get_message(message_id)
        if row.status not in (Status.SCHEDULED, Status.SENDING):
            return row
        await asyncio.sleep(0.01)


async def lines_of(app: App, event_id: int) -> list[tuple[str, int]]:
    """Outcome and attempt of every line in the ledger."""
    return [(line["outcome"], line["attempt"]) for line in await app.events.get_deliveries(event_id)]


async def test_a_scheduled_message_leaves_at_its_time_and_says_when(open_app: OpenApp, database_url: str) -> None:
    app = await open_app(database_url=database_url)
    event_id, contractor_id = await event_with_person(app)
    await app.start_workers(["event-messages"])  # its lateness is not to be that of other queues' beginnings
    message = await app.events.schedule_event_message(alert(event_id, contractor_id, in_seconds=0.5))
    row = await ended(app, message.id)
    assert row.status == Status.SENT
    assert row.actual_send_time is not None
    assert row.actual_send_time >= row.scheduled_time
    assert row.delay_minutes is not None
    assert 0 <= row.delay_minutes < 0.05
    [sent] = app.simulator.messages
    assert (sent.to, sent.text) == ("+18105550123", "Hi Ada, your session starts soon")
    [line] = await app.events.get_deliveries(event_id)
    assert (line["outcome"], line["provider"], line["attempt"]) == ("sent", "simulator", 1)
    assert 0 <= line["lateness_ms"] < 1000
    assert line["request_id"].startswith("req_")


async def test_the_webhook_gets_the_payload_of_the_specification_and_a_key_against_repetition(
    open_app: OpenApp, database_url: str
) -> None:
    async with Sink() as sink:
        app = await open_app(database_url=database_url, n8n_outbound_webhook_url=sink.url)
        event_id, contractor_id = await event_with_person(app)
        await app.start_workers()
        message = await app.events.schedule_event_message(
            alert(event_id, contractor_id, in_seconds=0, ghl_contact_id="abc123", ghl_location_id="loc456")
        )
        assert (await ended(app, message.id)).status == Status.SENT
        [(key, payload)] = sink.taken.items()
        assert payload == {
            "phone": "+18105550123",
            "message": "Hi Ada, your session starts soon",
            "message_id": message.id,
            "message_type": "speaker_alert",
            "kind": "event-message",
            "name": f"event-message-{message.id}",
            "contractor_id": contractor_id,
            "contractor_name": "Ada Abara",
            "event_id": event_id,
            "event_name": "DemoCon",
            "ghl_contact_id": "abc123",
            "ghl_location_id": "loc456",
        }
        assert key.startswith(f"event-message-{message.id}-")


async def test_a_failing_webhook_is_tried_three_times_under_one_key_and_then_the_message_has_failed(
    open_app: OpenApp, database_url: str
) -> None:
    async with Sink(lambda payload: (500, {})) as sink:
        app = await open_app(
            database_url=database_url,
            n8n_outbound_webhook_url=sink.url,
            queue_settings={"EVENT_MESSAGES_BACKOFF": "0.05"},
        )
        event_id, contractor_id = await event_with_person(app)
        await app.start_workers()
        message = await app.events.schedule_event_message(alert(event_id, contractor_id, in_seconds=0))
        row = await ended(app, message.id)
        assert row.status == Status.FAILED
        assert "500" in (row.error_message or "")
        assert list(sink.requests.values()) == [3]
        assert await lines_of(app, event_id) == [("retry", 1), ("retry", 2), ("failed", 3)]


@pytest.mark.both_databases
async def test_a_failed_message_is_sent_after_its_recovery(open_app: OpenApp, database_url: str) -> None:
    async with Sink(lambda payload: (400, {})) as sink:
        app = await open_app(database_url=database_url, n8n_outbound_webhook_url=sink.url)
        event_id, contractor_id = await event_with_person(app)
        await app.start_workers()
        message = await app.events.schedule_event_message(alert(event_id, contractor_id, in_seconds=0))
        assert (await ended(app, message.id)).status == Status.FAILED
        sink.answer = lambda payload: (200, {})
        [recovered] = await app.events.recover_failed_messages(event_id)
        assert recovered.id == message.id
        row = await ended(app, message.id)
        assert (row.status, row.error_message) == (Status.SENT, None)


async def test_a_wait_that_the_provider_asks_for_is_kept_and_costs_no_attempt(
    open_app: OpenApp, database_url: str
) -> None:
    answers = iter([(429, {"retry-after": "1"}), (429, {"retry-after": "1"}), (429, {"retry-after": "1"})])
    async with Sink(lambda payload: next(answers, (200, {}))) as sink:
        app = await open_app(
            database_url=database_url,
            n8n_outbound_webhook_url=sink.url,
            queue_settings={"EVENT_MESSAGES_ATTEMPTS": "1"},
        )
        event_id, contractor_id = await event_with_person(app)
        await app.start_workers()
        message = await app.events.schedule_event_message(alert(event_id, contractor_id, in_seconds=0))
        row = await ended(app, message.id)
        assert row.status == Status.SENT
        assert row.actual_send_time is not None
        assert (row.actual_send_time - row.scheduled_time).total_seconds() >= 3
        assert [outcome for outcome, _ in await lines_of(app, event_id)] == ["retry", "retry", "retry", "sent"]


async def test_a_webhook_that_never_answers_is_given_up_at_its_deadline(open_app: OpenApp, database_url: str) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        app = await open_app(
            database_url=database_url,
            n8n_outbound_webhook_url=f"http://127.0.0.1:{port}/",
            http_timeout=0.2,
            queue_settings={"EVENT_MESSAGES_ATTEMPTS": "2", "EVENT_MESSAGES_BACKOFF": "0.05"},
        )
        event_id, contractor_id = await event_with_person(app)
        await app.start_workers()
        message = await app.events.schedule_event_message(alert(event_id, contractor_id, in_seconds=0))
        row = await ended(app, message.id)
        assert row.status == Status.FAILED
        assert "did not answer in time" in (row.error_message or "")
        await app.stop_workers()


@pytest.mark.parametrize(
    ("person", "message", "error"),
    [
        ({"phone": None, "email": "ada@example.com"}, {}, "no phone number"),
        ({}, {"channel": "email"}, "no mail address"),
        ({}, {"message_content": "Hi {{ frist_name }}"}, "frist_name"),
        ({}, {"message_content": "Hi {{ first_name"}, "template"),
    ],
    ids=["nobody knows a phone number", "nobody knows a mail address", "misspelt variable", "broken template"],
)
async def test_what_can_never_be_sent_has_failed_at_once_and_says_why(
    open_app: OpenApp, database_url: str, person: dict[str, Any], message: dict[str, Any], error: str
) -> None:
    app = await open_app(database_url=database_url)
    event_id, contractor_id = await event_with_person(app, **person)
    await app.start_workers()
    stored = await app.events.schedule_event_message(alert(event_id, contractor_id, in_seconds=0, **message))
    row = await ended(app, stored.id)
    assert row.status == Status.FAILED
    assert error in (row.error_message or "")
    assert await lines_of(app, event_id) == [("failed", 1)]
    assert not app.simulator.messages


async def test_a_message_without_content_gets_its_types_text_with_the_persons_name(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(database_url=database_url)
    event_id, contractor_id = await event_with_person(app)
    await app.start_workers()
    message = await app.events.schedule_event_message(
        alert(
            event_id,
            contractor_id,
            in_seconds=0,
            message_content=None,
            personalization_data={"speaker_name": "John Doe", "session_title": "AI in Business"},
        )
    )
    assert (await ended(app, message.id)).status == Status.SENT
    [sent] = app.simulator.messages
    for part in ("Ada", "John Doe", "AI in Business"):
        assert part in sent.text


async def test_a_message_that_is_of_no_use_any_more_is_skipped_not_sent_late(
    open_app: OpenApp, database_url: str
) -> None:
    clock = ManualClock(datetime.now(UTC))
    app = await open_app(database_url=database_url, clock=clock)
    event_id, contractor_id = await event_with_person(app)
    message = await app.events.schedule_event_message(alert(event_id, contractor_id, in_seconds=-1))
    clock.move(timedelta(hours=3))
    await app.start_workers()
    row = await ended(app, message.id)
    assert (row.status, row.status_reason) == (Status.SKIPPED, Reason.EXPIRED)
    assert not app.simulator.messages


async def test_a_cancelled_message_does_not_leave_although_its_job_still_fires(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(database_url=database_url)
    event_id, contractor_id = await event_with_person(app)
    message = await app.events.schedule_event_message(alert(event_id, contractor_id, in_seconds=0))
    await app.events.cancel_event_message(message.id)
    await app.queues.arm([EventMessages.job(message)])
    await app.start_workers()
    while (await app.events.get_queue_stats())["completed"] == 0:
        await asyncio.sleep(0.01)
    assert (await app.events.get_message(message.id)).status == Status.CANCELLED
    assert not app.simulator.messages


async def test_a_message_moved_to_a_later_time_waits_for_it_although_its_old_job_still_fires(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(database_url=database_url)
    event_id, contractor_id = await event_with_person(app)
    message = await app.events.schedule_event_message(alert(event_id, contractor_id, in_seconds=0))
    moved = await app.events.reschedule_event_message(message.id, datetime.now(UTC) + timedelta(seconds=1))
    await app.queues.arm([replace(EventMessages.job(moved), due=None)])
    await app.start_workers()
    row = await ended(app, message.id)
    assert row.actual_send_time is not None
    assert row.actual_send_time >= moved.scheduled_time
    assert len(app.simulator.messages) == 1


async def test_mail_goes_to_the_mail_address_with_a_subject(open_app: OpenApp, database_url: str) -> None:
    app = await open_app(database_url=database_url)
    event_id, contractor_id = await event_with_person(app, email="ada@example.com")
    await app.start_workers()
    message = await app.events.schedule_event_message(alert(event_id, contractor_id, in_seconds=0, channel="email"))
    assert (await ended(app, message.id)).status == Status.SENT
    [sent] = app.simulator.messages
    assert (sent.to, sent.subject) == ("ada@example.com", "Your next session: DemoCon")


@pytest.mark.timing
async def test_no_more_messages_leave_in_a_window_than_the_rate_limit_allows(open_app: OpenApp) -> None:
    app = await open_app(queue_settings={"EVENT_MESSAGES_RATE_LIMIT": "3/1"})
    event_id, contractor_id = await event_with_person(app)
    await app.start_workers()
    for number in range(10):
        await app.events.schedule_event_message(
            alert(event_id, contractor_id, in_seconds=0, session_key=f"session-{number}")
        )
    while len(app.simulator.messages) < 10:
        await asyncio.sleep(0.01)
    moments = sorted(sent.at for sent in app.simulator.messages)
    # Windows are a second apart by when jobs start; the first three take their time to be composed.
    assert (moments[9] - moments[0]).total_seconds() > 2
    for earlier, later in zip(moments[3:], moments[6:], strict=False):
        assert (later - earlier).total_seconds() > 0.5
