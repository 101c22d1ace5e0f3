"""What follows from a message's end or refusal is written with it, and its mistakes undo nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from messages.due_messages import (
    EVENT_MESSAGE,
    FOLLOW_UP,
    NOON,
    PHONE,
    OpenApp,
    Provider,
    change,
    follow_up_to,
    message_to,
    outcome_of,
    person_of,
)
from support.app import ledger
from tidings.app import App
from tidings.clock import ManualClock
from tidings.engine.jobs import Job
from tidings.errors import SendError
from tidings.features.events.models import EventMessage
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.kind import Ended, Message
from tidings.messages.statuses import Reason, Status

pytestmark = pytest.mark.usefixtures("left_sound")

GHOST = {"name": "Ghost", "phone": "+12125550166", "vip": False, "created_at": NOON, "updated_at": NOON}
MISTAKES = ("raises", "asks for a table that is not there", "breaks a constraint")


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
async def app(open_app: OpenApp, database_url: str, provider: Provider) -> App:
    return await open_app(
        database_url=database_url, clock=ManualClock(NOON), providers={"sms": provider}, frequency_caps="9/1d"
    )


async def half_write(connection: AsyncConnection, mistake: str) -> None:
    """Writes a row, and then makes a mistake."""
    await connection.execute(insert(Contractor), [GHOST])
    if mistake == "raises":
        raise ZeroDivisionError
    if mistake == "asks for a table that is not there":
        await connection.execute(text("SELECT 1 FROM nowhere"))
    await connection.execute(insert(Contractor), [GHOST])
    raise AssertionError("unreachable")


async def ghosts(app: App) -> int:
    async with app.work.read() as session:
        found = await session.scalar(select(func.count()).select_from(Contractor).where(Contractor.name == "Ghost"))
        return found or 0


# An end


async def test_what_follows_is_written_with_the_outcome_and_its_jobs_are_armed_after_the_commit(app: App) -> None:
    kind, person = app.kinds[EVENT_MESSAGE], await person_of(app)
    message, following = [await message_to(app, person) for _ in range(2)]
    await app.queues.disarm("event-messages", [kind.job_id(following.id)])
    seen: list[tuple[int, str, Reason | None, str]] = []

    async def on_ended(connection: AsyncConnection, ended: Sequence[Ended]) -> Sequence[Job]:
        for one in ended:
            inside = await connection.scalar(select(EventMessage.status).where(EventMessage.id == one.message.id))
            outside = (await app.events.get_message(one.message.id)).status
            seen.append((one.message.id, one.status, one.reason, f"{outside} → {inside}"))
        return [kind.job(following)]

    change(app, EVENT_MESSAGE, on_ended=on_ended)
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == "sent"
    assert seen == [(message.id, Status.SENT, None, "sending → sent")]
    assert await app.queues.find("event-messages", [kind.job_id(following.id)]) != [None]
    await app.contacts.opt_out(PHONE)
    assert await outcome_of(app, EVENT_MESSAGE, following.id) == f"skipped: {Reason.OPTED_OUT.sentence}"
    assert seen[1] == (following.id, Status.SKIPPED, Reason.OPTED_OUT, "sending → skipped")


async def test_nothing_follows_yet_from_a_message_that_is_still_to_go(app: App, provider: Provider) -> None:
    person = await person_of(app)
    provider.refusals = [SendError("lost", retryable=True), SendError("later", retryable=True, retry_after=5.0)]
    ends: list[str] = []

    async def on_ended(connection: AsyncConnection, ended: Sequence[Ended]) -> Sequence[Job]:
        ends.extend(one.status for one in ended)
        return ()

    change(app, EVENT_MESSAGE, on_ended=on_ended)
    for _ in range(2):
        message = await message_to(app, person)
        await outcome_of(app, EVENT_MESSAGE, message.id)
    assert ends == []
    provider.refusals = [SendError("lost", retryable=True)]
    final = await message_to(app, person)
    assert await outcome_of(app, EVENT_MESSAGE, final.id, last=True) == "GiveUpJob: lost"
    assert ends == [Status.FAILED]


@pytest.mark.both_databases
async def test_a_mistake_in_what_follows_loses_no_outcome_and_leaves_nothing_half_written(
    app: App, provider: Provider
) -> None:
    person = await person_of(app)
    for number, mistake in enumerate(MISTAKES):

        async def on_ended(
            connection: AsyncConnection, ended: Sequence[Ended], mistake: str = mistake
        ) -> Sequence[Job]:
            await half_write(connection, mistake)
            return ()

        change(app, FOLLOW_UP, on_ended=on_ended)
        message = await follow_up_to(app, person)
        assert await outcome_of(app, FOLLOW_UP, message.id) == "sent", mistake
        assert (await app.followups.get_follow_up(message.id)).status == Status.SENT, mistake
        [line] = await ledger(app, FOLLOW_UP, message.id)
        assert (line.outcome, line.inputs["frequency"]["had"]) == ("sent", number), mistake  # each counts in the caps
        assert await outcome_of(app, FOLLOW_UP, message.id) == "skipped: sent", mistake
        assert len(provider.sent) == number + 1, mistake
    assert await ghosts(app) == 0


# A refusal

REFUSALS: dict[str, tuple[SendError, bool, Status]] = {
    "to be tried again": (SendError("lost", retryable=True), False, Status.SCHEDULED),
    "to be tried again, at the last attempt": (SendError("lost", retryable=True), True, Status.FAILED),
    "with a wait": (SendError("busy", retryable=True, retry_after=5.0), False, Status.SCHEDULED),
    "with a wait, at the last attempt": (SendError("busy", retryable=True, retry_after=5.0), True, Status.SCHEDULED),
    "for good": (SendError("unknown number", retryable=False), False, Status.FAILED),
}


async def test_every_refusal_is_told_to_the_kind_in_the_transaction_that_records_it(
    app: App, provider: Provider
) -> None:
    kind, person = app.kinds[EVENT_MESSAGE], await person_of(app)
    following = await message_to(app, person)
    seen: list[tuple[str, str, str, int]] = []

    async def on_refused(connection: AsyncConnection, message: Message, error: SendError) -> Sequence[Job]:
        inside = await connection.scalar(select(EventMessage.status).where(EventMessage.id == message.id))
        outside = (await app.events.get_message(message.id)).status
        await connection.execute(update(Contractor).values(company_name=f"refused {message.id}"))
        seen.append((str(error), outside, inside or "", len(await ledger(app, EVENT_MESSAGE, message.id))))
        return [kind.job(following)]

    change(app, EVENT_MESSAGE, on_refused=on_refused)
    for case, (refusal, last, status) in REFUSALS.items():
        seen.clear()
        provider.refusals = [refusal]
        await app.queues.disarm("event-messages", [kind.job_id(following.id)])
        message = await message_to(app, person)
        assert await outcome_of(app, EVENT_MESSAGE, message.id, last=last) != "sent", case
        assert seen == [(str(refusal), Status.SENDING, status, 0)], case
        assert (await app.events.get_message(message.id)).status == status, case
        assert (await app.events.registrations.get_contractor(person)).company_name == f"refused {message.id}", case
        assert await app.queues.find("event-messages", [kind.job_id(following.id)]) != [None], case


async def test_what_leaves_or_is_held_back_by_the_gate_was_refused_by_nobody(app: App) -> None:
    refused: list[int] = []

    async def on_refused(connection: AsyncConnection, message: Message, error: SendError) -> Sequence[Job]:
        refused.append(message.id)
        return ()

    change(app, EVENT_MESSAGE, on_refused=on_refused)
    person = await person_of(app)
    assert await outcome_of(app, EVENT_MESSAGE, (await message_to(app, person)).id) == "sent"
    await app.contacts.opt_out(PHONE)
    assert "skipped" in await outcome_of(app, EVENT_MESSAGE, (await message_to(app, person)).id)
    assert refused == []


async def test_a_mistake_about_a_refusal_loses_no_outcome_and_leaves_nothing_half_written(
    app: App, provider: Provider
) -> None:
    person = await person_of(app)
    for mistake in MISTAKES:

        async def on_refused(
            connection: AsyncConnection, message: Message, error: SendError, mistake: str = mistake
        ) -> Sequence[Job]:
            await half_write(connection, mistake)
            return ()

        change(app, EVENT_MESSAGE, on_refused=on_refused)
        provider.refusals = [SendError("unknown number", retryable=False)]
        message = await message_to(app, person)
        assert await outcome_of(app, EVENT_MESSAGE, message.id) == "GiveUpJob: unknown number", mistake
        row = await app.events.get_message(message.id)
        assert (row.status, row.error_message) == (Status.FAILED, "unknown number"), mistake
        assert [line.outcome for line in await ledger(app, EVENT_MESSAGE, message.id)] == ["failed"], mistake
    assert await ghosts(app) == 0


# What cannot be handed over at all


async def test_an_undeliverable_message_fails_with_what_has_to_change_and_is_offered_to_nobody(
    app: App, provider: Provider
) -> None:
    sentence = "the shop has no number to send from; set one"
    load = app.kinds[EVENT_MESSAGE].load

    async def without_a_number(connection: AsyncConnection, ids: Sequence[int]) -> list[Message]:
        return [replace(message, undeliverable=sentence) for message in await load(connection, ids)]

    ends: list[tuple[Status, Reason | None]] = []

    async def on_ended(connection: AsyncConnection, ended: Sequence[Ended]) -> Sequence[Job]:
        ends.extend((one.status, one.reason) for one in ended)
        return ()

    change(app, EVENT_MESSAGE, load=without_a_number, on_ended=on_ended)
    message = await message_to(app, await person_of(app))
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == f"GiveUpJob: {sentence}"
    row = await app.events.get_message(message.id)
    assert (row.status, row.error_message, row.held_until) == (Status.FAILED, sentence, None)
    [line] = await ledger(app, EVENT_MESSAGE, message.id)
    assert (line.outcome, line.error, line.provider) == ("failed", sentence, None)
    assert ends == [(Status.FAILED, None)]
    assert not provider.asked
    assert (await app.why.explain(f"event-message-{message.id}")).summary == f"It failed: {sentence}."
