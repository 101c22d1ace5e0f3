"""No sequence of endings, errors and crashes leaves a series without its next occurrence, or with two of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from followups.conftest import HELLO, NOW
from support.app import deliver
from support.examples import Steps, tell_stories
from tidings.app import App
from tidings.clock import ManualClock
from tidings.engine.jobs import GiveUpJob, Job
from tidings.errors import Conflict
from tidings.features.followups.jobs import FOLLOW_UP
from tidings.features.followups.models import ENDINGS, FollowUp
from tidings.messages.kind import Ended
from tidings.messages.statuses import OPEN, Status

RULES = {"quiet_hours": "off", "frequency_caps": "off"}
SERIES = 3

ENDS = ("sent", "failed", "expired", "done", "opted_out", "cancelled", "only_this", "by_hand")
FAULTS = (
    "none",
    "none",
    "raises before it writes",
    "raises after it has written",
    "loses its connection",
    "dies",
    "is told twice",
)


class World:
    """One application with a few series, each of a person of its own, on a clock moved by hand."""

    def __init__(self, app: App, clock: ManualClock) -> None:
        self.app, self.clock = app, clock
        self.fault = "none"
        self.series: list[int] = []
        kind: Any = app.kinds[FOLLOW_UP]
        self._on_ended, kind.on_ended = kind.on_ended, self._follow

    @classmethod
    @asynccontextmanager
    async def opened(cls, values: Any) -> AsyncIterator[World]:
        clock = ManualClock(NOW)
        async with App(values, clock=clock, queue_settings={"CONTRACTOR_FOLLOWUPS_RATE_LIMIT": "off"}) as app:
            world = cls(app, clock)
            for number in range(SERIES):
                person, _ = await app.events.create_contractor({"name": "Ada", "phone": f"+1810555010{number}"})
                item = await app.followups.action_items.create({"contractor_id": person.id, "title": "Call back"})
                wanted = {
                    "contractor_id": person.id,
                    "action_item_id": item.id,
                    "scheduled_time": NOW,
                    "followup_type": "check_in",
                    "message_template": HELLO,
                    "is_recurring": True,
                    "recurrence_interval_days": 1 + number * 6,
                }
                world.series.append((await app.followups.schedule_follow_up(wanted)).id)
            yield world

    async def _follow(self, connection: AsyncConnection, ended: Sequence[Ended]) -> Sequence[Job]:
        fault, self.fault = self.fault, "none" if self.fault == "loses its connection" else self.fault
        if fault == "raises before it writes":
            raise RuntimeError("deadlock detected")
        jobs: Sequence[Job] = await self._on_ended(connection, ended)
        if fault == "is told twice":
            jobs = [*jobs, *await self._on_ended(connection, ended)]
        if fault == "raises after it has written":
            raise RuntimeError("deadlock detected")
        if fault == "loses its connection":
            await connection.invalidate()
            raise RuntimeError("the connection is gone")
        return jobs

    async def occurrences(self, number: int) -> list[FollowUp]:
        query = select(FollowUp).where(FollowUp.series_id == self.series[number]).order_by(FollowUp.id)
        async with self.app.work.read() as session:
            return list(await session.scalars(query))

    async def set(self, row: FollowUp, **values: Any) -> None:
        async with self.app.work.begin() as unit:
            await unit.session.execute(update(FollowUp).where(FollowUp.id == row.id).values(**values))

    async def end(self, number: int, how: str, fault: str) -> None:
        """Ends the open occurrence of a series, if there is one, and has something go wrong meanwhile."""
        rows = [row for row in await self.occurrences(number) if row.status in OPEN]
        if not rows:
            return
        [row] = rows
        followups = self.app.followups
        if how == "cancelled":
            await followups.cancel_follow_up(row.id)
        elif how == "only_this":
            await followups.cancel_follow_up(row.id, only_this=True)
        elif how == "by_hand":
            await followups.mark_follow_up_sent(row.id)
        else:
            await self._bring_out(row, how, fault)

    async def _bring_out(self, row: FollowUp, how: str, fault: str) -> None:
        self.clock.move(max(row.scheduled_time - self.clock.now(), timedelta(0)))
        if how == "failed":
            await self.set(row, message_template="{{ nickname }}")
        elif how == "expired":
            self.clock.move(timedelta(days=8))
        elif how == "done":
            assert row.action_item_id is not None
            await self.app.followups.action_items.complete(row.action_item_id)
        elif how == "opted_out":
            await self.app.contacts.opt_out(
                (await self.app.events.registrations.get_contractor(row.contractor_id)).phone
            )
        if fault == "dies":
            await self.set(
                row, status=Status.SENDING, held_until=self.clock.now() + timedelta(seconds=20), attempts=1
            )
            self.clock.move(timedelta(seconds=21))
        self.fault = fault
        with suppress(GiveUpJob):
            await deliver(self.app, FOLLOW_UP, row.id)
        self.fault = "none"
        if how == "failed":
            await self.set(row, message_template=HELLO)
            following = [one for one in await self.occurrences(number_of(self, row)) if one.status in OPEN]
            for one in following:
                await self.set(one, message_template=HELLO)

    async def again(self, number: int) -> None:
        """Somebody sends the first occurrence that did not go out."""
        for row in await self.occurrences(number):
            if row.status in (Status.FAILED, Status.SKIPPED):
                with suppress(Conflict):
                    await self.app.followups.send_follow_up_message(row.id)
                    await deliver(self.app, FOLLOW_UP, row.id)
                return

    async def look(self) -> None:
        """Recovery's check."""
        await self.app.recovery.check()

    async def expect_sound(self) -> None:
        for number in range(SERIES):
            rows = await self.occurrences(number)
            *before, last = rows
            assert [row.next_occurrence_id for row in before] == [row.id for row in rows[1:]]
            assert len({row.occurrence for row in rows}) == len(rows)
            assert not [row for row in before if row.status in OPEN]
            cancelled = last.status == Status.CANCELLED and not last.is_recurring
            assert last.next_occurrence_id is None
            assert last.status in OPEN or cancelled or last.status_reason in ENDINGS
        findings = await self.app.doctor.check_invariants(pause=0.0)
        assert [one.sentence for one in findings if one.check not in ("jobs", "strays")] == []


def number_of(world: World, row: FollowUp) -> int:
    return world.series.index(row.series_id or 0)


_number = st.integers(0, SERIES - 1)
_steps = st.one_of(
    st.tuples(st.just("end"), _number, st.sampled_from(ENDS), st.sampled_from(FAULTS)),
    st.tuples(st.just("end"), _number, st.just("sent"), st.sampled_from(FAULTS)),
    st.tuples(st.just("again"), _number),
    st.tuples(st.just("look")),
)


async def live(values: Any, steps: Sequence[tuple[Any, ...]]) -> None:
    async with World.opened(values) as world:
        for name, *arguments in steps:
            await getattr(world, name)(*arguments)
        await world.look()
        await world.expect_sound()


def series_go_on(database: Callable[[], str], settings_for: Callable[..., Any], number: int) -> None:
    def one(steps: Steps) -> Coroutine[Any, Any, object]:
        return live(settings_for(database_url=database(), **RULES), steps)

    tell_stories(st.lists(_steps, min_size=4, max_size=16), one, number)


def test_after_one_look_every_series_has_one_open_occurrence_or_a_reason_on_sqlite(
    new_sqlite_database: Callable[[], str], settings_for: Callable[..., Any]
) -> None:
    series_go_on(new_sqlite_database, settings_for, number=25)


def test_after_one_look_every_series_has_one_open_occurrence_or_a_reason_on_postgresql(
    new_postgres_database: Callable[[], str], settings_for: Callable[..., Any]
) -> None:
    series_go_on(new_postgres_database, settings_for, number=10)
