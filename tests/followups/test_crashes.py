"""A worker killed in the middle of a burst of recurring follow-ups: each is sent, and each series goes on once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from followups.conftest import Office, seconds
from support.programs import start_worker
from support.sink import Sink
from tidings.messages.statuses import Status

pytestmark = [pytest.mark.both_databases, pytest.mark.usefixtures("left_sound")]

SERIES = 24

VARIABLES = {
    "CONTRACTOR_FOLLOWUPS_RATE_LIMIT": "off",
    "TIDINGS_QUIET_HOURS": "off",
    "TIDINGS_FREQUENCY_CAPS": "off",
    "TIDINGS_AI_TIMEOUT": "0.5",
    "TIDINGS_HTTP_TIMEOUT": "0.5",
}


async def test_a_killed_worker_leaves_no_series_without_its_next_one_and_none_with_two(
    new_office: Callable[..., Awaitable[Office]],
) -> None:
    async with Sink() as sink:
        office = await new_office()
        rows = [await office.schedule(is_recurring=True, recurrence_interval_days=1) for _ in range(SERIES)]
        worker = start_worker(office.app, sink, **VARIABLES)
        await sink.wait_for(5)
        worker.kill()
        await worker.ended()
        assert len(sink.taken) < SERIES
        successor = start_worker(office.app, sink, **VARIABLES)
        ended = [await office.ended(row) for row in rows]
        assert {row.status for row in ended} == {Status.SENT}
        assert len(sink.taken) == SERIES
        following = {row.next_occurrence_id for row in ended}
        assert None not in following
        assert len(following) == SERIES
        everything = await office.all()
        assert len(everything) == 2 * SERIES
        for row in everything[SERIES:]:
            while await office.due_in(row) is None:  # recovery releases what died with its worker
                await asyncio.sleep(0.01)
            assert await office.due_in(row) == seconds(office.clock.seconds_until(row.scheduled_time))
        first = {row.id: row.scheduled_time for row in rows}
        for row in everything[SERIES:]:
            assert row.series_id is not None
            assert row.scheduled_time - first[row.series_id] == timedelta(days=1)
        successor.terminate()
        assert await successor.ended() == 0
