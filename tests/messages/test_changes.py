"""Whoever changes a message before its turn changes its row, its line in the ledger and its job together, or none."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from messages.due_messages import (
    EVENT_MESSAGE,
    FOLLOW_UP,
    HOUR,
    NOON,
    OpenApp,
    follow_up_to,
    message_to,
    outcome_of,
    person_of,
)
from support.app import ledger
from tidings.app import App
from tidings.clock import ManualClock
from tidings.errors import Conflict
from tidings.features.events.models import EventMessage
from tidings.messages import changes
from tidings.messages.statuses import Reason, Status
from tidings.work import Unit

QUEUE = "event-messages"


@pytest.fixture
async def app(open_app: OpenApp, database_url: str) -> App:
    return await open_app(database_url=database_url, clock=ManualClock(NOON))


async def locked(unit: Unit, message: EventMessage) -> EventMessage:
    row = await unit.session.get(EventMessage, message.id, with_for_update=True)
    assert row is not None
    return row


async def due_in(app: App, message: EventMessage) -> float | None:
    """Seconds until the message's job is due; None when it has none."""
    [job] = await app.queues.find(QUEUE, [app.kinds[EVENT_MESSAGE].job_id(message.id)])
    return job.seconds if job else None


async def is_due(app: App, message: EventMessage) -> bool:
    seconds = await due_in(app, message)
    return seconds is not None and seconds <= 0.0


async def lines(app: App, message: EventMessage) -> list[tuple[str, str | None, int | None, dict[str, Any]]]:
    found = await ledger(app, EVENT_MESSAGE, message.id)
    return [(line.outcome, line.reason, line.contact_id, line.inputs) for line in found]


ENDS = {"cancelled": (Status.CANCELLED, Reason.BY_REQUEST), "skipped": (Status.SKIPPED, Reason.OVERTAKEN)}


async def test_an_end_is_the_rows_the_ledgers_and_the_queues(app: App) -> None:
    kind, person = app.kinds[EVENT_MESSAGE], await person_of(app)
    for case, (status, reason) in ENDS.items():
        ended, other = [await message_to(app, person) for _ in range(2)]
        async with app.work.begin() as unit:
            row = await locked(unit, ended)
            row.held_until = NOON + HOUR
            await changes.end(unit, kind, [row], status, reason, NOON, inputs=lambda row: {"channel": row.channel})
        row = await app.events.get_message(ended.id)
        assert (row.status, row.status_reason, row.held_until, row.updated_at) == (status, reason, None, NOON), case
        assert await lines(app, ended) == [(case, reason, person, {"channel": "sms"})], case
        assert await due_in(app, ended) is None, case
        assert await outcome_of(app, EVENT_MESSAGE, ended.id) == f"skipped: {status}", case
        assert await due_in(app, other) is not None, case
        assert await lines(app, other) == [], case


async def test_a_change_that_is_rolled_back_leaves_row_ledger_and_job_as_they_were(app: App) -> None:
    kind = app.kinds[EVENT_MESSAGE]
    message = await message_to(app, await person_of(app))

    async def end(unit: Unit, row: EventMessage) -> None:
        await changes.end(unit, kind, [row], Status.CANCELLED, Reason.BY_REQUEST, NOON)

    async def cancel(unit: Unit, row: EventMessage) -> None:
        which = EventMessage.id == row.id
        assert await changes.cancel_where(unit, kind, which, Reason.BY_REQUEST, NOON) == 1

    async def release(unit: Unit, row: EventMessage) -> None:
        changes.release(unit, kind, row, NOON + HOUR, NOON)

    for change in (end, cancel, release):
        with suppress(ZeroDivisionError):
            async with app.work.begin() as unit:
                await change(unit, await locked(unit, message))
                raise ZeroDivisionError
        row = await app.events.get_message(message.id)
        assert (row.status, row.status_reason, row.scheduled_time) == (Status.SCHEDULED, Reason.BY_REQUEST, NOON)
        assert await lines(app, message) == []
        assert await is_due(app, message)


async def test_many_are_cancelled_at_once_but_none_that_a_worker_has_or_that_has_ended(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "CHUNK", 2)
    kind, person = app.kinds[EVENT_MESSAGE], await person_of(app)
    stays = {Status.SENDING, Status.SENT, Status.FAILED, Status.SKIPPED, Status.CANCELLED}
    goes = [Status.SCHEDULED] * 4 + [Status.WAITING]
    messages = [await message_to(app, person) for _ in (*stays, *goes)]
    another = await message_to(app, person)
    async with app.work.begin() as unit:
        for message, status in zip(messages, (*stays, *goes), strict=True):
            row = await locked(unit, message)
            row.status, row.held_until = status, NOON + HOUR
    which = EventMessage.id.in_([message.id for message in messages])
    async with app.work.begin() as unit:
        assert await changes.cancel_where(unit, kind, which, Reason.EVENT_CLEARED, NOON) == len(goes)
    async with app.work.begin() as unit:
        assert await changes.cancel_where(unit, kind, which, Reason.EVENT_CLEARED, NOON) == 0
    for message, status in zip(messages, (*stays, *goes), strict=True):
        row = await app.events.get_message(message.id)
        if status in stays:
            assert (row.status, row.held_until) == (status, NOON + HOUR), status
            assert await lines(app, message) == [], status
            assert await due_in(app, message) is not None, status
        else:
            expected = (Status.CANCELLED, Reason.EVENT_CLEARED, None)
            assert (row.status, row.status_reason, row.held_until) == expected, status
            assert await lines(app, message) == [("cancelled", Reason.EVENT_CLEARED, person, {})], status
            assert await due_in(app, message) is None, status
    assert (await app.events.get_message(another.id)).status == Status.SCHEDULED


async def test_a_revived_message_starts_anew_and_has_its_job_again(app: App) -> None:
    kind, message = app.kinds[EVENT_MESSAGE], await message_to(app, await person_of(app))
    async with app.work.begin() as unit:
        row = await locked(unit, message)
        row.attempts, row.error_message = 5, "the provider was away"
        await changes.end(unit, kind, [row], Status.CANCELLED, Reason.EVENT_CANCELLED, NOON)
    async with app.work.begin() as unit:
        changes.revive(unit, kind, await locked(unit, message), NOON + HOUR, reason=Reason.PLANNED)
    row = await app.events.get_message(message.id)
    assert (row.status, row.status_reason, row.attempts) == (Status.SCHEDULED, Reason.PLANNED, 0)
    assert (row.error_message, row.held_until, row.updated_at) == (None, None, NOON + HOUR)
    assert await is_due(app, message)
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == "sent"


async def test_a_released_message_waits_for_the_time_that_it_is_let_go_at(app: App) -> None:
    kind, message = app.kinds[EVENT_MESSAGE], await message_to(app, await person_of(app))
    async with app.work.begin() as unit:
        row = await locked(unit, message)
        row.status, row.held_until = Status.WAITING, NOON
        unit.disarm(QUEUE, kind.job_id(row.id))
    assert await due_in(app, message) is None
    assert await app.recovery.rebuild() == 0  # its feature lets it go, nobody else
    async with app.work.begin() as unit:
        changes.release(unit, kind, await locked(unit, message), NOON + HOUR, NOON)
    row = await app.events.get_message(message.id)
    assert (row.status, row.scheduled_time, row.held_until) == (Status.SCHEDULED, NOON + HOUR, None)
    seconds = await due_in(app, message)
    assert seconds is not None
    assert 3590 < seconds <= 3600


SENTENCES = {
    Status.SENDING: "message 7 is being sent right now and cannot be moved",
    Status.SENT: "message 7 is sent already and cannot be moved",
    Status.CANCELLED: "message 7 is cancelled already and cannot be moved",
}


async def test_a_change_that_comes_too_late_is_refused_with_where_the_message_stands(open_app: OpenApp) -> None:
    app = await open_app()
    for status, sentence in SENTENCES.items():
        row = EventMessage(id=7, status=status)
        with pytest.raises(Conflict) as refused:
            changes.refuse(app.kinds[EVENT_MESSAGE], row, "moved", *SENTENCES)
        assert str(refused.value) == sentence
        changes.refuse(app.kinds[EVENT_MESSAGE], row, "moved", *(set(SENTENCES) - {status}))
    with pytest.raises(Conflict, match=r"^follow-up 7 is sent already and cannot be cancelled$"):
        changes.refuse(app.kinds[FOLLOW_UP], EventMessage(id=7, status=Status.SENT), "cancelled", Status.SENT)


async def test_the_line_of_a_decision_names_the_message_and_what_it_was_made_from(app: App) -> None:
    follow_up = await follow_up_to(app, await person_of(app))
    async with app.work.begin() as unit:
        row = await unit.session.get(type(follow_up), follow_up.id, with_for_update=True)
        await changes.end(
            unit,
            app.kinds[FOLLOW_UP],
            [row],
            Status.SKIPPED,
            Reason.ACTION_ITEM_COMPLETED,
            NOON,
            inputs=lambda row: {"action_item": 3},
        )
    [line] = await ledger(app, FOLLOW_UP, follow_up.id)
    assert (line.at, line.kind, line.message_id) == (NOON, FOLLOW_UP, follow_up.id)
    assert (line.outcome, line.reason, line.inputs) == ("skipped", Reason.ACTION_ITEM_COMPLETED, {"action_item": 3})
    summary = (await app.why.explain(f"follow-up-{follow_up.id}")).summary
    assert summary == "It was not sent: the action item that it is about was completed."
