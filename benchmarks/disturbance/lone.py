"""Lone messages to people whom no change is about, and how late those were that were due meanwhile."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from benchmarks.disturbance.shops import phone_of
from tidings.app import App
from tidings.errors import TidingsError
from tidings.features.events.kind import EventMessages
from tidings.features.events.people_import import import_people
from tidings.features.followups.kind import FollowUpMessages
from tidings.messages.contacts.files.people_file import Person
from tidings.messages.kind import idempotency_key
from tidings.providers.base import Outgoing, Receipt

PEOPLE = 200
FIRST_PHONE = 7_000_000
LATENCY = 0.02
"""Seconds that the provider takes for each message."""


class MessageLost(TidingsError):
    """A message did not leave."""


class Provider:
    """Takes every message after LATENCY seconds, and notes when it was asked, by the message's key."""

    name = "simulator"
    drops_repetitions = True

    def __init__(self) -> None:
        self.asked: dict[str, float] = {}

    async def send(self, outgoing: Outgoing) -> Receipt:
        self.asked.setdefault(outgoing.idempotency_key, time.time())
        await asyncio.sleep(LATENCY)
        return Receipt(self.name, f"sim-{outgoing.idempotency_key}")

    async def close(self) -> None:
        """Nothing to release."""


class Lone:
    """Follow-ups, which take places in the caps, and messages of an event, in turns; all to other people."""

    def __init__(self, app: App, provider: Provider) -> None:
        self._app, self._provider = app, provider
        self._people: list[int] = []
        self._event = 0
        self._number = 0

    async def prepare(self) -> None:
        people = [Person(name=f"Cleo {n}", phone=phone_of(FIRST_PHONE + n)) for n in range(PEOPLE)]
        await import_people(self._app.work, people)
        day = datetime.now(UTC).date().isoformat()
        event = await self._app.events.create_event({"name": "Small", "date": day, "timezone": "UTC"})
        self._event = event.id
        rows = [await self._app.events.create_contractor({"name": one.name, "phone": one.phone}) for one in people]
        self._people = [row.id for row, _ in rows]

    async def schedule(self, first: float, seconds: float, rate: float) -> dict[str, float]:
        """So many a second, from that moment on; when each is due, by its key."""
        chance = random.Random(1)
        count = int(seconds * rate)
        moments = [round(first + (number + chance.random()) / rate, 3) for number in range(count)]
        return {await self._schedule_one(moment): moment for moment in moments}

    async def _schedule_one(self, moment: float) -> str:
        self._number += 1
        due: dict[str, Any] = {"scheduled_time": datetime.fromtimestamp(moment, UTC).isoformat()}
        person = {"contractor_id": self._people[self._number % PEOPLE]}
        if self._number % 2:
            text = {"followup_type": "check_in", "message_template": "Hi {{ first_name }}"}
            row: Any = await self._app.followups.schedule_follow_up({**person, **due, **text})
            return idempotency_key(FollowUpMessages.name, row.id, row.created_at)
        about = {"event_id": self._event, "message_type": "pcr_request", "session_key": f"s{self._number}"}
        row = await self._app.events.schedule_event_message({**person, **due, **about})
        return idempotency_key(EventMessages.name, row.id, row.created_at)

    async def lateness(
        self, dues: dict[str, float], spells: Sequence[tuple[float, float]], patience: float
    ) -> list[float]:
        """Milliseconds from the moment to the provider, of those that were due in one of the spells; in order.

        Raises MessageLost.
        """
        until = time.time() + patience
        while missing := dues.keys() - self._provider.asked.keys():
            if time.time() > until:
                raise MessageLost(f"{len(missing)} of {len(dues)} messages did not leave, {min(missing)} among them")
            await asyncio.sleep(0.05)
        return sorted(
            (self._provider.asked[key] - due) * 1000
            for key, due in dues.items()
            if any(began <= due <= ended for began, ended in spells)
        )
