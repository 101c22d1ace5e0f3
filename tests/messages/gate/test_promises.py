"""No sequence of schedules, replies, deferrals and clock moves breaks what the gate promises."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import strategies as st
from sqlalchemy import select

from support.app import deliver
from support.examples import Steps, tell_stories
from tidings.app import App
from tidings.clock import ManualClock
from tidings.engine.jobs import GiveUpJob, PostponeJob
from tidings.errors import SendError
from tidings.messages.gate.quiet_hours import zones_of
from tidings.messages.gate.rules import parse_caps
from tidings.messages.inbound.replies import IncomingReply
from tidings.messages.kind import MessageKind
from tidings.messages.statuses import OPEN
from tidings.providers.base import Outgoing, Receipt

START = datetime(2026, 3, 7, 15, 0, tzinfo=UTC)  # the night after, clocks change in New York
RULES = {"quiet_hours": "21:00-08:00", "frequency_caps": "2/1d, 3/3d", "default_timezone": "Europe/Berlin"}

PEOPLE = (
    {"name": "Ada Abara", "phone": "+12125550101"},  # New York, by her number
    {"name": "Ben Brandt", "phone": "+12135550102", "timezone": "Asia/Tokyo"},  # a Californian number, lives in Tokyo
    {"name": "Chen Costa", "phone": "+79261234567"},  # a number of eleven zones
    {"name": "Dora Dvorak", "phone": "+15555550104"},  # a number of no known zone
)


@dataclass(eq=False)
class Carrier:
    """The provider of the example, which also checks every promise at the moment a message leaves."""

    clock: ManualClock
    name: str = "carrier"
    drops_repetitions: bool = False
    opted_out: set[str] = field(default_factory=set)
    revoked: set[int] = field(default_factory=set)
    limits: dict[int, datetime] = field(default_factory=dict)
    promotional: dict[int, list[datetime]] = field(default_factory=dict)
    refusals: int = 0
    sent: int = 0

    async def send(self, outgoing: Outgoing) -> Receipt:
        if self.refusals:
            self.refusals -= 1
            raise SendError("too many", retryable=True, retry_after=90.0, throttled=True)
        now, data = self.clock.now(), outgoing.metadata
        self.sent += 1
        if data.get("message_type") in ("opt_out_confirmation", "opt_in_confirmation", "help"):
            return Receipt(self.name, outgoing.idempotency_key)
        assert outgoing.to not in self.opted_out, "sent to somebody who had opted out"
        if "followup_id" in data:
            self._check_promotional(outgoing, data["contractor_id"], data["followup_id"], now)
        return Receipt(self.name, outgoing.idempotency_key)

    def _check_promotional(self, outgoing: Outgoing, contractor_id: int, follow_up_id: int, now: datetime) -> None:
        person = PEOPLE[contractor_id - 1]
        for zone in zones_of(outgoing.to, person.get("timezone"), RULES["default_timezone"]):
            clock = now.astimezone(ZoneInfo(zone)).time()
            assert time(8) <= clock < time(21), f"sent at {clock} in {zone}, within quiet hours"
        assert contractor_id not in self.revoked, "sent after consent was taken back"
        assert now <= self.limits.get(follow_up_id, now), "sent after it was of use"
        theirs = self.promotional.setdefault(contractor_id, [])
        theirs.append(now)
        for cap in parse_caps(RULES["frequency_caps"]):
            within = [at for at in theirs if at > now - cap.window]
            assert len(within) <= cap.most, f"{len(within)} promotional messages within {cap.window}"

    async def close(self) -> None:
        """Nothing to release."""


class World:
    """One application on a clock moved by hand, whose messages leave when the example says so."""

    def __init__(self, app: App, clock: ManualClock, carrier: Carrier) -> None:
        self.app, self.clock, self.carrier = app, clock, carrier
        self.replies = itertools.count(1)

    @classmethod
    @asynccontextmanager
    async def opened(cls, start: datetime, settings: Any) -> AsyncIterator[World]:
        clock = ManualClock(start)
        carrier = Carrier(clock)
        async with App(settings, clock=clock, providers={"sms": carrier}, queue_settings={}) as app:
            world = cls(app, clock, carrier)
            await world.settle_in()
            yield world

    async def settle_in(self) -> None:
        self.event = await self.app.events.create_event({"name": "DemoCon", "date": "2026-03-20", "timezone": "UTC"})
        for person in PEOPLE:
            await self.app.events.create_contractor(person)

    async def follow_up(self, person: int, in_minutes: int, useful: int | None, if_blocked: str) -> None:
        at = self.clock.now() + timedelta(minutes=in_minutes)
        limit = None if useful is None else at + timedelta(minutes=useful)
        row = await self.app.followups.schedule_follow_up(
            {
                "contractor_id": person + 1,
                "scheduled_time": at,
                "followup_type": "check_in",
                "message_template": "Hi {{ first_name }}, how is it going?",
                "if_blocked": if_blocked,
                "not_after": limit,
            }
        )
        if limit is not None:
            self.carrier.limits[row.id] = limit

    async def alert(self, person: int, in_minutes: int) -> None:
        number = next(self.replies)
        await self.app.events.schedule_event_message(
            {
                "event_id": self.event.id,
                "contractor_id": person + 1,
                "message_type": "speaker_alert",
                "session_key": f"s{number}",
                "scheduled_time": self.clock.now() + timedelta(minutes=in_minutes),
                "message_content": "Your session starts soon",
            }
        )

    async def reply(self, person: int, text: str) -> None:
        phone = PEOPLE[person]["phone"]
        reply = IncomingReply("carrier", f"r{next(self.replies)}", phone, text)
        await self.app.inbound.receive_reply(reply)
        if text == "STOP":
            self.carrier.opted_out.add(phone)
        elif text == "START":
            self.carrier.opted_out.discard(phone)

    async def consent(self, person: int, granted: bool) -> None:
        await self.app.consents.record(person + 1, granted=granted)
        (self.carrier.revoked.discard if granted else self.carrier.revoked.add)(person + 1)

    async def refuse(self, times: int) -> None:
        self.carrier.refusals = times

    async def move(self, minutes: int) -> None:
        self.clock.move(timedelta(minutes=minutes))

    async def deliver_due(self) -> None:
        """Does what the workers do: everything that is due goes its way, many at once."""
        for kind in self.app.kinds.values():
            for _ in range(3):
                ids = await self._due(kind)
                await asyncio.gather(*(self._deliver(kind, message_id) for message_id in ids))
                if not ids:
                    break

    async def _due(self, kind: MessageKind) -> Sequence[int]:
        model, now = kind.model, self.clock.now()
        async with self.app.work.read() as session:
            rows = await session.scalars(
                select(model.id).where(
                    model.status.in_(OPEN),
                    model.scheduled_time <= now,
                    (model.held_until.is_(None)) | (model.held_until <= now),
                )
            )
            return rows.all()

    async def _deliver(self, kind: MessageKind, message_id: int) -> None:
        with suppress(PostponeJob, GiveUpJob, SendError):
            await deliver(self.app, kind.name, message_id)


_people = st.integers(0, len(PEOPLE) - 1)
_steps = st.one_of(
    st.tuples(
        st.just("follow_up"),
        _people,
        st.integers(0, 2000),
        st.none() | st.integers(1, 2000),
        st.sampled_from(["defer", "drop"]),
    ),
    st.tuples(st.just("alert"), _people, st.integers(0, 2000)),
    st.tuples(st.just("reply"), _people, st.sampled_from(["STOP", "START", "Thanks, great!", "No", "HELP"])),
    st.tuples(st.just("consent"), _people, st.booleans()),
    st.tuples(st.just("refuse"), st.integers(1, 4)),
    st.tuples(st.just("move"), st.integers(1, 900)),
)


async def live(settings: Any, steps: Sequence[tuple[Any, ...]]) -> int:
    async with World.opened(START, settings) as world:
        for name, *arguments in steps:
            await getattr(world, name)(*arguments)
            await world.deliver_due()
        for _ in range(8):
            await world.move(11 * 60)
            await world.deliver_due()
        return world.carrier.sent


def promises(database: Callable[[], str], settings_for: Callable[..., Any], number: int) -> None:
    def one(steps: Steps) -> Coroutine[Any, Any, object]:
        return live(settings_for(database_url=database(), **RULES), steps)

    tell_stories(st.lists(_steps, min_size=6, max_size=24), one, number)


def test_nothing_leaves_against_the_gates_promises_on_sqlite(
    new_sqlite_database: Callable[[], str], settings_for: Callable[..., Any]
) -> None:
    promises(new_sqlite_database, settings_for, number=25)


def test_nothing_leaves_against_the_gates_promises_on_postgresql(
    new_postgres_database: Callable[[], str], settings_for: Callable[..., Any]
) -> None:
    promises(new_postgres_database, settings_for, number=10)


@pytest.mark.parametrize(("local_hour", "sent"), [(9, 1), (22, 0)], ids=["by day it leaves", "by night it waits"])
def test_the_world_of_these_examples_lets_allowed_messages_out(
    migrated_sqlite: Path, settings_for: Callable[..., Any], tmp_path: Path, local_hour: int, sent: int
) -> None:
    file = tmp_path / "tidings.db"
    shutil.copy(migrated_sqlite, file)

    async def once() -> int:
        start = datetime(2026, 3, 9, local_hour, 0, tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)
        async with World.opened(start, settings_for(database_url=f"sqlite:///{file}", **RULES)) as world:
            await world.follow_up(0, 0, None, "defer")
            await world.deliver_due()
            return world.carrier.sent

    assert asyncio.run(once()) == sent
