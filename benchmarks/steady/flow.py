"""Messages that are scheduled second by second, each a minute before its moment."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime
from typing import Any

from tidings.client import Tidings

MINUTE = 60
MESSAGE_TYPE = "pcr_request"
"""A text message about the whole event, of which a person gets one: so each minute has an event of its own."""


class Flow:
    """`dues` has the moment of each message (epoch seconds) that did not arrive yet, by the key that the sink sees.

    The first messages are due at `start`, a minute after the flow was made.
    """

    def __init__(self, tidings: Tidings, rate: int) -> None:
        self._tidings, self._rate = tidings, rate
        self._chance = random.Random(1)
        self.start = float(int(time.time()) + MINUTE + 1)
        self.dues: dict[str, float] = {}
        self._twice: list[str] = []

    async def run(self, minutes: int) -> None:
        """Schedules messages for so many minutes."""
        event_id = 0
        for second in range(minutes * MINUTE):
            if second % MINUTE == 0:
                event = {"name": f"Minute {second // MINUTE}", "date": datetime.now(UTC).date()}
                event_id = (await self._tidings.events.create_event(event)).id
            await asyncio.sleep(self.start + second - MINUTE - time.time())
            await self._schedule(event_id, second)

    async def _schedule(self, event_id: int, second: int) -> None:
        dues = [round(self.start + second + self._chance.random(), 3) for _ in range(self._rate)]
        first = second % MINUTE * self._rate + 1
        wanted: list[dict[str, Any]] = [
            {
                "event_id": event_id,
                "contractor_id": number,
                "message_type": MESSAGE_TYPE,
                "scheduled_time": datetime.fromtimestamp(due, UTC),
            }
            for number, due in enumerate(dues, first)
        ]
        rows = await self._tidings.events.schedule_bulk_event_messages(wanted)
        self.dues |= {str(row.id): due for row, due in zip(rows, dues, strict=True)}

    def late(self, arrivals: list[tuple[str, float]]) -> list[float]:
        """Milliseconds by which those that came were late, sorted; they are not waited for any more."""
        found: list[float] = []
        for key, at in arrivals:
            due = self.dues.pop(key, None)
            if due is None:
                self._twice.append(key)
            else:
                found.append((at - due) * 1000)
        return sorted(found)

    def missing(self) -> list[str]:
        """A sentence for each way in which what came is not what was scheduled."""
        found = [f"{len(self.dues)} messages did not come."] if self.dues else []
        return [*found, f"{len(self._twice)} messages came twice."] if self._twice else found
