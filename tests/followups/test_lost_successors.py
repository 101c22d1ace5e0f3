"""A series whose next occurrence was not written, for whatever error, gets it at the next look of recovery."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from followups.conftest import NOW, Office, seconds
from tidings.clock import ManualClock
from tidings.engine.jobs import Job
from tidings.features.followups.jobs import FOLLOW_UP
from tidings.features.followups.models import FollowUp
from tidings.messages.kind import Ended
from tidings.messages.statuses import Reason, Status

pytestmark = [pytest.mark.both_databases, pytest.mark.usefixtures("left_sound")]

SERIES = 40
WEEKLY = {"is_recurring": True, "recurrence_interval_days": 7}

NewOffice = Callable[..., Awaitable[Office]]


class Lost:
    """Has what follows from the ends of follow-ups fail, after it was written, for as long as `failing`."""

    def __init__(self, office: Office) -> None:
        self._kind: Any = office.app.kinds[FOLLOW_UP]
        self._on_ended, self._kind.on_ended = self._kind.on_ended, self._lose
        self.failing = True
        self.lost = 0

    async def _lose(self, connection: AsyncConnection, ended: Sequence[Ended]) -> Sequence[Job]:
        jobs: Sequence[Job] = await self._on_ended(connection, ended)
        if self.failing:
            self.lost += len(ended)
            raise RuntimeError("deadlock detected")
        return jobs


async def successors(office: Office, rows: Sequence[FollowUp]) -> list[FollowUp]:
    """The next occurrences of rows that have one."""
    return [following for row in rows if (following := await office.next_of(row)) is not None]


async def test_one_error_while_40_series_end_costs_none_of_them_its_next_occurrence(new_office: NewOffice) -> None:
    office = await new_office(sweep_interval=0.2)
    rows = [await office.schedule(**WEEKLY) for _ in range(SERIES)]
    lost = Lost(office)
    await office.app.start_workers()
    assert {(await office.ended(row)).status for row in rows} == {Status.SENT}
    assert lost.lost >= SERIES
    assert await successors(office, rows) == []
    lost.failing = False
    while len(found := await successors(office, rows)) < SERIES:
        await asyncio.sleep(0.01)
    assert len({row.id for row in found}) == SERIES
    for row in found:
        while await office.due_in(row) is None:
            await asyncio.sleep(0.01)
        assert await office.due_in(row) == seconds(7 * 86_400)
    assert len(await office.all()) == 2 * SERIES


async def test_however_often_and_by_how_many_it_is_looked_for_a_lost_one_is_written_once(office: Office) -> None:
    rows = [await office.schedule(**WEEKLY) for _ in range(3)]
    lost = Lost(office)
    assert [await office.deliver(row) for row in rows] == ["sent"] * 3
    lost.failing = False
    await asyncio.gather(
        *(office.app.recovery.check() for _ in range(3)), office.followups.mark_follow_up_sent(rows[0].id)
    )
    await office.app.recovery.check()
    assert len(await successors(office, rows)) == 3
    assert len(await office.all()) == 6


async def test_occurrences_that_were_missed_while_a_series_had_none_are_left_out(office: Office) -> None:
    row = await office.schedule(**WEEKLY)
    lost = Lost(office)
    await office.deliver(row)
    assert isinstance(office.clock, ManualClock)
    office.clock.move(timedelta(days=25))
    lost.failing = False
    await office.app.recovery.check()
    following = await office.next_of(row)
    assert following is not None
    assert (following.occurrence, following.scheduled_time) == (5, NOW + timedelta(days=28, hours=1))  # 10:00 there


async def test_a_series_that_ended_for_a_reason_stays_ended(office: Office) -> None:
    item = await office.add_item()
    done = await office.schedule(action_item_id=item, **WEEKLY)
    stopped = await office.schedule(**WEEKLY)
    called_off = await office.schedule(**WEEKLY, scheduled_time=NOW + timedelta(days=1))
    lost = Lost(office)
    await office.followups.action_items.complete(item)
    await office.deliver(done)
    await office.app.contacts.opt_out("+18105550123")
    await office.deliver(stopped)
    await office.followups.cancel_follow_up(called_off.id)
    lost.failing = False
    await office.app.recovery.check()
    ended = [await office.get(row) for row in (done, stopped, called_off)]
    assert [row.status_reason for row in ended] == [
        Reason.ACTION_ITEM_COMPLETED,
        Reason.OPTED_OUT,
        Reason.BY_REQUEST,
    ]
    assert len(await office.all()) == 3


async def test_one_series_that_cannot_go_on_keeps_no_other_from_it(office: Office) -> None:
    rows = [await office.schedule(**WEEKLY) for _ in range(4)]
    lost = Lost(office)
    for row in rows:
        await office.deliver(row)
    lost.failing = False
    await office.set(rows[1], first_local_time=None)
    await office.app.recovery.check()
    assert [await office.next_of(row) is not None for row in rows] == [True, False, True, True]
    await office.set(rows[1], first_local_time=rows[1].first_local_time)
    await office.app.recovery.check()
    assert await office.next_of(rows[1]) is not None
