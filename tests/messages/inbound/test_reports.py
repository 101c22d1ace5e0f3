"""What providers report about messages that have left: upward only, once, in the row and the ledger together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import update

from messages.due_messages import (
    DAY,
    EVENT_MESSAGE,
    MINUTE,
    NOON,
    OpenApp,
    change,
    message_to,
    outcome_of,
    person_of,
)
from support.app import ledger
from tidings.app import App
from tidings.clock import ManualClock
from tidings.engine.jobs import DeadJob
from tidings.errors import Conflict, InvalidInput, NotFound
from tidings.features.events.models import EventMessage
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.inbound import reports
from tidings.messages.inbound.reports import StatusUpdate
from tidings.messages.kind import Report
from tidings.messages.ledger import DeliveryStatus
from tidings.messages.statuses import Status
from tidings.providers.base import Outgoing, Receipt
from tidings.work import Unit


@pytest.fixture
async def app(open_app: OpenApp, database_url: str) -> App:
    return await open_app(database_url=database_url, clock=ManualClock(NOON))


async def sent_to(app: App, person: int, **more: Any) -> EventMessage:
    message = await message_to(app, person, **more)
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == "sent"
    return message


async def provider_id_of(app: App, message: EventMessage) -> str | None:
    [line] = await ledger(app, EVENT_MESSAGE, message.id)
    return line.provider_message_id


async def status_of(app: App, message: EventMessage) -> tuple[str | None, str | None]:
    [line] = await ledger(app, EVENT_MESSAGE, message.id)
    return line.delivery_status, line.error


async def test_a_delivery_status_only_moves_upward_and_a_failure_is_final(app: App) -> None:
    person = await person_of(app)
    steps: list[tuple[list[DeliveryStatus], DeliveryStatus]] = [
        ([DeliveryStatus.DELIVERED, DeliveryStatus.READ], DeliveryStatus.READ),
        ([DeliveryStatus.READ, DeliveryStatus.DELIVERED, DeliveryStatus.SENT], DeliveryStatus.READ),
        ([DeliveryStatus.PENDING, DeliveryStatus.SENT], DeliveryStatus.SENT),
        ([DeliveryStatus.DELIVERED, DeliveryStatus.FAILED], DeliveryStatus.DELIVERED),
        ([DeliveryStatus.FAILED, DeliveryStatus.DELIVERED, DeliveryStatus.READ], DeliveryStatus.FAILED),
        ([DeliveryStatus.DELIVERED, DeliveryStatus.DELIVERED], DeliveryStatus.DELIVERED),
    ]
    for reported, end in steps:
        message = await sent_to(app, person)
        provider_id = await provider_id_of(app, message)
        assert await status_of(app, message) == ("SENT", None)
        for report in reported:
            before = (await status_of(app, message))[0]
            changed = await app.inbound.receive_status(StatusUpdate(report, provider_id))
            assert changed == ((await status_of(app, message))[0] != before)
        assert (await status_of(app, message))[0] == end


async def test_a_failed_delivery_keeps_what_the_provider_said(app: App) -> None:
    person = await person_of(app)
    message, silent = await sent_to(app, person), await sent_to(app, person)
    await app.inbound.receive_status(
        StatusUpdate(DeliveryStatus.FAILED, message=f"event-message-{message.id}", error="landline")
    )
    await app.inbound.receive_status(StatusUpdate(DeliveryStatus.FAILED, message=f"event-message-{silent.id}"))
    assert await status_of(app, message) == ("FAILED", "landline")
    assert "not delivered" in ((await status_of(app, silent))[1] or "")
    assert (await app.events.get_message(message.id)).status == Status.SENT


async def test_a_report_that_names_the_message_both_ways_is_understood_by_either(app: App) -> None:
    """A workflow that answered at once gave no id, and knows the provider's only in its report."""
    message = await sent_to(app, await person_of(app))
    report = StatusUpdate(DeliveryStatus.DELIVERED, "SM-of-the-carrier", f"event-message-{message.id}", NOON + DAY)
    assert await app.inbound.receive_status(report)
    [line] = await ledger(app, EVENT_MESSAGE, message.id)
    assert (line.delivery_status, line.delivery_status_at) == ("DELIVERED", NOON)


async def test_a_report_about_a_message_that_never_left_is_not_found_once_patience_is_over(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "UNRECORDED", (0.001, 0.001))
    unsent = await message_to(app, await person_of(app))
    for report in (
        StatusUpdate(DeliveryStatus.DELIVERED, "never-heard-of"),
        StatusUpdate(DeliveryStatus.DELIVERED, message=f"event-message-{unsent.id}"),
        StatusUpdate(DeliveryStatus.DELIVERED, message="carrier-pigeon-1"),
    ):
        with pytest.raises(NotFound, match="sent message"):
            await app.inbound.receive_status(report)


@pytest.mark.both_databases
async def test_a_report_that_comes_before_the_sending_is_recorded_is_not_lost(
    open_app: OpenApp, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "UNRECORDED", (0.01,) * 200)
    under_way: list[asyncio.Task[bool]] = []
    looked = asyncio.Event()

    class ReportsAtOnce:
        name = "quick"

        async def send(self, outgoing: Outgoing) -> Receipt:
            report = app.inbound.receive_status(StatusUpdate(DeliveryStatus.DELIVERED, "quick-1"))
            under_way.append(asyncio.ensure_future(report))
            await looked.wait()
            assert not under_way[0].done()
            return Receipt(self.name, "quick-1")

        async def close(self) -> None:
            """Nothing to release."""

    app = await open_app(database_url=database_url, providers={"sms": ReportsAtOnce()})
    message = await message_to(app, await person_of(app))
    begin = app.work.begin

    @asynccontextmanager
    async def begin_and_tell() -> AsyncIterator[Unit]:
        try:
            async with begin() as unit:
                yield unit
        finally:
            looked.set()

    monkeypatch.setattr(app.work, "begin", begin_and_tell)
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == "sent"
    assert await under_way[0]
    assert (await status_of(app, message))[0] == "DELIVERED"


async def test_the_kind_hears_every_report_about_its_message_with_when_and_why(app: App) -> None:
    """The row's own status is its kind's; the kind hears old news too, and says whether they were news to it."""
    heard: list[tuple[int, Report]] = []

    async def on_report(unit: Unit, message_id: int, report: Report) -> bool:
        heard.append((message_id, report))
        return False

    change(app, EVENT_MESSAGE, on_report=on_report)
    message = await sent_to(app, await person_of(app))
    provider_id = await provider_id_of(app, message)
    late, early = NOON + DAY, NOON - MINUTE
    for told, report in (
        (StatusUpdate(DeliveryStatus.DELIVERED, provider_id), Report(DeliveryStatus.DELIVERED, NOON)),
        (StatusUpdate(DeliveryStatus.READ, provider_id, at=late), Report(DeliveryStatus.READ, NOON)),
        (StatusUpdate(DeliveryStatus.SENT, provider_id, at=early), Report(DeliveryStatus.SENT, early)),
        (StatusUpdate(DeliveryStatus.FAILED, provider_id), Report(DeliveryStatus.FAILED, NOON, reports.UNDELIVERED)),
        (
            StatusUpdate(DeliveryStatus.FAILED, provider_id, error="landline"),
            Report(DeliveryStatus.FAILED, NOON, "landline"),
        ),
        (StatusUpdate(DeliveryStatus.READ, provider_id, error="none"), Report(DeliveryStatus.READ, NOON)),
    ):
        await app.inbound.receive_status(told)
        assert heard.pop() == (message.id, report)


async def test_a_report_is_news_when_it_is_to_the_row_or_to_the_ledger(app: App) -> None:
    news = {"to the row": False}

    async def on_report(unit: Unit, message_id: int, report: Report) -> bool:
        return news["to the row"]

    change(app, EVENT_MESSAGE, on_report=on_report)
    message = await sent_to(app, await person_of(app))
    delivered = StatusUpdate(DeliveryStatus.DELIVERED, await provider_id_of(app, message))
    for to_the_row, changed in ((False, True), (False, False), (True, True)):
        news["to the row"] = to_the_row
        assert await app.inbound.receive_status(delivered) is changed


async def test_the_row_and_the_ledger_move_together_or_not_at_all(app: App) -> None:
    async def notes_and_fails(unit: Unit, message_id: int, report: Report) -> bool:
        await unit.session.execute(update(Contractor).values(company_name="reported"))
        raise ZeroDivisionError

    async def notes(unit: Unit, message_id: int, report: Report) -> bool:
        await unit.session.execute(update(Contractor).values(company_name="reported"))
        return True

    person = await person_of(app)
    message = await sent_to(app, person)
    delivered = StatusUpdate(DeliveryStatus.DELIVERED, await provider_id_of(app, message))
    change(app, EVENT_MESSAGE, on_report=notes_and_fails)
    with pytest.raises(ZeroDivisionError):
        await app.inbound.receive_status(delivered)
    assert (await app.events.registrations.get_contractor(person)).company_name is None
    assert await status_of(app, message) == ("SENT", None)
    change(app, EVENT_MESSAGE, on_report=notes)
    assert await app.inbound.receive_status(delivered)
    assert (await app.events.registrations.get_contractor(person)).company_name == "reported"
    assert await status_of(app, message) == ("DELIVERED", None)


async def test_ten_reports_at_the_same_moment_leave_the_highest(app: App) -> None:
    message = await sent_to(app, await person_of(app))
    provider_id = await provider_id_of(app, message)
    statuses = [DeliveryStatus.SENT, DeliveryStatus.READ, DeliveryStatus.DELIVERED, DeliveryStatus.FAILED] * 3
    changed = await asyncio.gather(
        *(app.inbound.receive_status(StatusUpdate(status, provider_id)) for status in statuses)
    )
    end = (await status_of(app, message))[0]
    assert end in ("READ", "FAILED")  # whichever came first: a failure is final, and nothing that was read failed
    assert 1 <= changed.count(True) <= 2


async def test_a_unit_may_move_a_message_that_it_has_found_itself(app: App) -> None:
    """Providers that know our id, and features with reports of their own, use the same door."""
    message, unsent = await sent_to(app, await person_of(app)), await message_to(app, 1)
    move = app.inbound.reports.move
    async with app.work.begin() as unit:
        assert await move(unit, EVENT_MESSAGE, message.id, DeliveryStatus.READ)
        assert not await move(unit, EVENT_MESSAGE, message.id, DeliveryStatus.DELIVERED)
        assert not await move(unit, EVENT_MESSAGE, unsent.id, DeliveryStatus.READ)
        assert not await move(unit, "carrier-pigeon", message.id, DeliveryStatus.READ)
    assert await status_of(app, message) == ("READ", None)


async def test_a_report_about_nothing_is_refused_with_how_to_name_a_message(open_app: OpenApp) -> None:
    app = await open_app()
    for message in (None, "123", "event-message-", "event-message-1e3", f"event-message-{10**20}"):
        with pytest.raises(InvalidInput, match="event-message-123") as refused:
            await app.inbound.receive_status(StatusUpdate(DeliveryStatus.DELIVERED, message=message))
        assert refused.value.field == ("message" if message else "provider_message_id")


@pytest.mark.parametrize(
    "form", ["event-message-{}", "EVENT-MESSAGE-{}", " event-message-{} ", "event-message-{}-17900"]
)
@pytest.mark.parametrize("field", ["message", "provider_message_id"])
async def test_a_message_is_found_by_our_name_in_whatever_letters_and_field(app: App, form: str, field: str) -> None:
    message = await sent_to(app, await person_of(app))
    report = StatusUpdate(DeliveryStatus.DELIVERED, **{field: form.format(message.id)})
    assert await app.inbound.receive_status(report)
    assert (await status_of(app, message))[0] == "DELIVERED"


async def test_our_name_counts_more_than_an_id_that_another_message_has(app: App) -> None:
    person = await person_of(app)
    first, second = await sent_to(app, person), await sent_to(app, person)
    both = StatusUpdate(DeliveryStatus.FAILED, await provider_id_of(app, second), f"event-message-{first.id}")
    assert await app.inbound.receive_status(both)
    assert [(await status_of(app, one))[0] for one in (first, second)] == ["FAILED", "SENT"]


async def test_the_dead_letter_of_a_message_that_has_left_in_another_way_is_closed(app: App) -> None:
    person = await person_of(app)
    arrived, called_off, failed = [await message_to(app, person) for _ in range(3)]
    for message in (arrived, called_off, failed):
        async with app.work.begin() as unit:
            await unit.session.execute(
                update(EventMessage).where(EventMessage.id == message.id).values(status=Status.FAILED)
            )
        name, data = f"event-message-{message.id}", {"id": message.id}
        dead = DeadJob("event-messages", "send-event-message", name, data, "the line went dead", 3, NOON, "req_1")
        await app.dead_letters.store(dead)
    await app.events.reschedule_event_message(arrived.id, NOON)
    await app.events.reschedule_event_message(called_off.id, NOON + DAY)
    await app.events.cancel_event_message(called_off.id)
    assert await outcome_of(app, EVENT_MESSAGE, arrived.id) == "sent"
    [left] = await app.dead_letters.list_letters()
    assert left.job_id == f"event-message-{failed.id}"
    every = await app.dead_letters.list_letters(status=None)
    assert [letter.status for letter in every] == ["resolved", "resolved", "open"]
    with pytest.raises(Conflict, match="resolved already"):
        await app.dead_letters.retry(every[0].id)


async def test_a_message_that_failed_here_was_sent_when_its_workflow_reports_that_it_left(app: App) -> None:
    message = await message_to(app, await person_of(app))
    async with app.work.begin() as unit:
        failed = update(EventMessage).where(EventMessage.id == message.id)
        await unit.session.execute(failed.values(status=Status.FAILED, error_message="refused"))
    name = f"event-message-{message.id}"
    dead = DeadJob("event-messages", "send-event-message", name, {"id": message.id}, "refused", 3, NOON, "req_1")
    await app.dead_letters.store(dead)
    report = StatusUpdate(DeliveryStatus.DELIVERED, "SM-7", name)
    assert await app.inbound.receive_status(report)
    assert not await app.inbound.receive_status(report), "the same again is no news"
    row = await app.events.get_message(message.id)
    assert (row.status, row.error_message, row.actual_send_time) == (Status.SENT, None, NOON)
    assert await status_of(app, message) == ("DELIVERED", None)
    assert await app.dead_letters.list_letters() == []
    assert await app.inbound.receive_status(StatusUpdate(DeliveryStatus.READ, "SM-7"))
