"""A row that is locked, or that no message can be made of, costs its own message something, and no other one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from messages.due_messages import (
    EVENT_MESSAGE,
    FOLLOW_UP,
    NOON,
    OpenApp,
    Provider,
    change,
    follow_up_to,
    message_to,
    outcome_of,
    person_of,
)
from support.app import handler_of, ledger, run_of
from tidings.app import App
from tidings.clock import ManualClock
from tidings.engine.jobs import HeldJob, Job, PostponeJob
from tidings.features.events.models import EventMessage
from tidings.messages.delivery import claim
from tidings.messages.delivery.claim import LOCKED_PAUSE
from tidings.messages.delivery.pipeline import BUSY_PAUSE
from tidings.messages.kind import Ended, MessageJob
from tidings.messages.statuses import Status


@pytest.fixture
def provider() -> Provider:
    return Provider()


OpenWith = Callable[..., Awaitable[App]]


@pytest.fixture
async def app(open_app: OpenApp, database_url: str, provider: Provider) -> App:
    return await open_app(
        database_url=database_url, clock=ManualClock(NOON), providers={"sms": provider}, frequency_caps="9/1d"
    )


async def outcomes_of(app: App, kind: str, ids: Sequence[int], *, last: bool = False) -> list[Any]:
    """What became of messages whose jobs a worker was given at once."""
    job_type = app.kinds[kind].job_type
    loop = asyncio.get_running_loop()
    ended = [loop.create_future() for _ in ids]
    await handler_of(app, job_type).handle(
        [
            HeldJob(MessageJob(id=one), run_of(app, job_type, last=last), future.set_result)
            for one, future in zip(ids, ended, strict=True)
        ]
    )
    return await asyncio.gather(*ended)


async def some_messages(app: App, count: int) -> list[int]:
    person = await person_of(app)
    return [(await message_to(app, person)).id for _ in range(count)]


@pytest.fixture
async def on_postgres(open_app: OpenApp, new_postgres_database: Callable[[], str], provider: Provider) -> App:
    return await open_app(database_url=new_postgres_database(), providers={"sms": provider}, clock=ManualClock(NOON))


async def test_messages_leave_while_others_of_the_same_moment_are_locked(
    on_postgres: App, provider: Provider
) -> None:
    app = on_postgres
    ids = await some_messages(app, 6)
    async with app.database.writer.begin() as connection:
        locked = ids[:2]
        await connection.execute(select(EventMessage.id).where(EventMessage.id.in_(locked)).with_for_update())
        answers = await outcomes_of(app, EVENT_MESSAGE, ids)
        assert answers[2:] == ["sent"] * 4
        for answer in answers[:2]:
            assert isinstance(answer, PostponeJob)
            assert answer.until - NOON == timedelta(seconds=LOCKED_PAUSE)
    assert await outcomes_of(app, EVENT_MESSAGE, locked) == ["sent"] * 2
    assert len(provider.asked) == 6


@pytest.mark.both_databases
async def test_a_row_of_which_no_message_can_be_made_fails_in_the_end_and_delays_no_other(
    app: App, provider: Provider
) -> None:
    ids = await some_messages(app, 4)
    message = app.kinds[EVENT_MESSAGE].message

    def breaks(row: Any) -> Any:
        if row["id"] == ids[1]:
            raise KeyError("an unknown type")
        return message(row)

    change(app, EVENT_MESSAGE, message=breaks)
    first = await outcomes_of(app, EVENT_MESSAGE, ids)
    assert [str(answer) for answer in first] == ["sent", "'an unknown type'", "sent", "sent"]
    [final] = await outcomes_of(app, EVENT_MESSAGE, ids[1:2], last=True)
    assert str(final) == "its row cannot be read: 'an unknown type'"
    row = await app.events.get_message(ids[1])
    assert (row.status, row.error_message) == (Status.FAILED, str(final))
    [line] = await ledger(app, EVENT_MESSAGE, ids[1])
    assert (line.outcome, line.error) == ("failed", str(final))
    assert await app.recovery.rebuild() == 0
    assert len(provider.asked) == 3


@pytest.mark.both_databases
@pytest.mark.parametrize("kind", [EVENT_MESSAGE, FOLLOW_UP])
async def test_messages_that_could_not_be_decided_about_are_free_again_at_once(
    app: App, provider: Provider, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    person = await person_of(app)
    row = await (message_to if kind == EVENT_MESSAGE else follow_up_to)(app, person)
    admit, troubles = claim.admit, [2]  # in the statement that claims, and in the one after it

    async def deadlocks(*args: Any) -> Any:
        if troubles[0]:
            troubles[0] -= 1
            raise _deadlock()
        return await admit(*args)

    monkeypatch.setattr(claim, "admit", deadlocks)
    later = await outcome_of(app, kind, row.id)
    assert later == timedelta(seconds=BUSY_PAUSE)
    troubles[0] = 0
    assert await outcome_of(app, kind, row.id) == "sent"
    assert [line.attempt for line in await ledger(app, kind, row.id)] == [1]


# What follows


@pytest.mark.both_databases
async def test_a_mistake_in_what_follows_one_message_is_none_in_what_follows_the_others(app: App) -> None:
    ids = await some_messages(app, 3)
    followed: list[int] = []

    async def on_ended(connection: AsyncConnection, ended: Sequence[Ended]) -> Sequence[Job]:
        if any(one.message.id == ids[1] for one in ended):
            raise ZeroDivisionError
        followed.extend(one.message.id for one in ended)
        return ()

    change(app, EVENT_MESSAGE, on_ended=on_ended)
    assert await outcomes_of(app, EVENT_MESSAGE, ids) == ["sent"] * 3
    assert followed == [ids[0], ids[2]]


@pytest.mark.both_databases
async def test_what_follows_is_written_after_all_when_a_deadlock_has_prevented_it_once(
    app: App, provider: Provider
) -> None:
    ids = await some_messages(app, 3)
    followed: list[int] = []

    async def on_ended(connection: AsyncConnection, ended: Sequence[Ended]) -> Sequence[Job]:
        if not followed:
            followed.append(0)
            raise _deadlock()
        followed.extend(one.message.id for one in ended)
        return ()

    change(app, EVENT_MESSAGE, on_ended=on_ended)
    assert await outcomes_of(app, EVENT_MESSAGE, ids) == ["sent"] * 3
    assert followed == [0, *ids]
    assert len(provider.asked) == 3
    assert [len(await ledger(app, EVENT_MESSAGE, one)) for one in ids] == [1, 1, 1]


def _deadlock() -> OperationalError:
    driver = Exception("deadlock detected")
    driver.sqlstate = "40P01"  # type: ignore[attr-defined]
    return OperationalError("UPDATE", None, driver)
