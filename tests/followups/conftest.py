"""An office that writes follow-ups: an application, its clock, and one contractor in New York."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from support.app import deliver, due_in, ledger
from tidings.app import App
from tidings.clock import Clock, ManualClock
from tidings.features.followups.jobs import FOLLOW_UP
from tidings.features.followups.models import FollowUp
from tidings.features.followups.service import FollowUps
from tidings.messages.ledger import LedgerEntry
from tidings.messages.statuses import OPEN, Status

OpenApp = Callable[..., Awaitable[App]]

NOW = datetime(2025, 10, 15, 14, tzinfo=UTC)  # a Wednesday, 10:00 in New York
HELLO = "Hi {{ first_name }}, how is it going?"


@dataclass
class Office:
    """What the tests of follow-ups do again and again. Without a clock of its own, times are the machine's."""

    app: App
    clock: Clock
    contractor_id: int

    @property
    def followups(self) -> FollowUps:
        return self.app.followups

    async def schedule(self, **more: Any) -> FollowUp:
        """A follow-up that is due now, unless told otherwise."""
        wanted = {
            "contractor_id": self.contractor_id,
            "scheduled_time": self.clock.now(),
            "followup_type": "check_in",
            "message_template": HELLO,
            **more,
        }
        return await self.followups.schedule_follow_up(wanted)

    async def add_person(self, **more: Any) -> int:
        person, _ = await self.app.events.create_contractor({"name": "Ben Cruz", **more})
        return person.id

    async def add_item(self, **more: Any) -> int:
        item = {"contractor_id": self.contractor_id, "title": "Send the signed contract", **more}
        return (await self.followups.action_items.create(item)).id

    async def get(self, row: FollowUp | int) -> FollowUp:
        return await self.followups.get_follow_up(row if isinstance(row, int) else row.id)

    async def next_of(self, row: FollowUp | int) -> FollowUp | None:
        """The occurrence after this one, if it is scheduled."""
        following = (await self.get(row)).next_occurrence_id
        return None if following is None else await self.get(following)

    async def all(self) -> list[FollowUp]:
        async with self.app.work.read() as session:
            return list(await session.scalars(select(FollowUp).order_by(FollowUp.id)))

    async def set(self, row: FollowUp | int, **values: Any) -> None:
        """Changes a row as a worker or another program would."""
        row_id = row if isinstance(row, int) else row.id
        async with self.app.work.begin() as unit:
            await unit.session.execute(update(FollowUp).where(FollowUp.id == row_id).values(**values))

    async def deliver(self, row: FollowUp | int, **run: Any) -> object:
        """What a worker does when the job of a follow-up runs."""
        return await deliver(self.app, FOLLOW_UP, row if isinstance(row, int) else row.id, **run)

    async def ended(self, row: FollowUp | int) -> FollowUp:
        """Waits until the follow-up is no longer under way."""
        while True:
            found = await self.get(row)
            if found.status not in OPEN:
                return found
            await asyncio.sleep(0.01)

    async def due_in(self, row: FollowUp | int) -> float | None:
        """Seconds until the job of a follow-up runs, None when there is none."""
        return await due_in(self.app, FOLLOW_UP, row if isinstance(row, int) else row.id)

    async def lines(self, row: FollowUp | int) -> list[LedgerEntry]:
        """What the ledger says about a follow-up."""
        return await ledger(self.app, FOLLOW_UP, row if isinstance(row, int) else row.id)

    async def sent(self, *, minutes_ago: int = 60, **more: Any) -> FollowUp:
        """A follow-up that the worker sent some time ago."""
        row = await self.schedule(**more)
        at = self.clock.now() - timedelta(minutes=minutes_ago)
        await self.set(row, status=Status.SENT, sent_at=at, sent_by="bull_worker")
        return await self.get(row)


def seconds(wanted: float) -> Any:
    """About so many: a job's time runs on while the test's clock stands still."""
    return pytest.approx(wanted, abs=20)


async def open_office(open_app: OpenApp, clock: Clock | None = None, **settings: Any) -> Office:
    queue_settings = {"CONTRACTOR_FOLLOWUPS_RATE_LIMIT": "off", **settings.pop("queue_settings", {})}
    app = await open_app(
        clock=clock,
        queue_settings=queue_settings,
        **{"quiet_hours": "off", "frequency_caps": "off", **settings},
    )
    person, _ = await app.events.create_contractor(
        {
            "name": "Ada Abara",
            "phone": "+18105550123",
            "email": "ada@example.com",
            "company_name": "Abara & Co",
            "timezone": "America/New_York",
            "ghl_contact_id": "abc123",
        }
    )
    return Office(app, app.clock, person.id)


@pytest.fixture
def new_office(open_app: OpenApp, database_url: str) -> Callable[..., Awaitable[Office]]:
    """Opens an office with settings of the test's own, by the machine's clock."""

    async def make(clock: Clock | None = None, **settings: Any) -> Office:
        return await open_office(open_app, clock, database_url=database_url, **settings)

    return make


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """A new SQLite database, for what does not depend on which database it is."""
    shutil.copy(migrated_sqlite, tmp_path / "local.db")
    return f"sqlite:///{tmp_path / 'local.db'}"


@pytest.fixture
def new_local_office(open_app: OpenApp, sqlite_url: str) -> Callable[..., Awaitable[Office]]:
    """The same on SQLite alone."""

    async def make(clock: Clock | None = None, **settings: Any) -> Office:
        return await open_office(open_app, clock, database_url=sqlite_url, **settings)

    return make


@pytest.fixture
async def local_office(open_app: OpenApp, sqlite_url: str) -> Office:
    """An office on SQLite whose clock stands still."""
    return await open_office(open_app, ManualClock(NOW), database_url=sqlite_url)


@pytest.fixture
async def office(open_app: OpenApp, database_url: str) -> Office:
    """An office whose clock stands still."""
    return await open_office(open_app, ManualClock(NOW), database_url=database_url)
