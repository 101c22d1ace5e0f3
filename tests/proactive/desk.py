"""Contacts, goals and messages of the proactive tests, on a clock that stands still."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from support.app import deliver, due_in, ledger
from tidings.ai.base import Brief, Draft, Writer
from tidings.app import App
from tidings.clock import ManualClock
from tidings.feature import Activities
from tidings.features.proactive.discovery import Trigger
from tidings.features.proactive.jobs import PROACTIVE_MESSAGE
from tidings.features.proactive.models import Goal, ProactiveMessage
from tidings.features.proactive.safeguards import Safeguards
from tidings.features.proactive.service import Proactive
from tidings.features.proactive.states import ContactState, Suggestion
from tidings.messages.contacts.addresses import follow
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.gate.trust import Trust, trust_of

NOW = datetime(2026, 3, 10, 15, tzinfo=UTC)
DAY = timedelta(days=1)


class Scribe:
    """A writer that notes its briefs and may wait before it answers."""

    name = "scribe"

    def __init__(self, wait: Callable[[], Any] | None = None) -> None:
        self.briefs: list[Brief] = []
        self.at_once = self.most_at_once = 0
        self._wait = wait

    async def write(self, brief: Brief) -> Draft:
        self.briefs.append(brief)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self._wait:
            await self._wait()
        self.at_once -= 1
        return Draft(brief.template, self.name, None, None, None)

    async def close(self) -> None:
        """Nothing to release."""


def trigger(*suggestions: Suggestion, message_type: str = "test") -> Trigger:
    """A trigger that has the same suggestions for every contact."""

    def evaluate(state: ContactState, now: datetime) -> Iterator[Suggestion]:
        yield from suggestions

    return Trigger(message_type, "Always.", evaluate)


HELLO = trigger(Suggestion("hello", "Everybody is greeted", "Hi {{ first_name }}, how are you?"))


@dataclass
class Desk:
    """An application whose clock stands still until a test moves it."""

    app: App
    clock: ManualClock
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def proactive(
        self,
        *triggers: Trigger,
        writer: Writer | None = None,
        safeguards: Safeguards | None = None,
        activities: Sequence[Activities] = (),
        deliver_now: bool = False,
    ) -> Proactive:
        """The application's own verbs with other triggers, by default with one that fires for everybody."""
        shipped = self.app.proactive.evaluation
        creator = replace(
            shipped.creator,
            writer=writer or shipped.creator.writer,
            safeguards=safeguards or shipped.creator.safeguards,
            deliver_now=deliver_now,
        )
        evaluation = replace(shipped, creator=creator, triggers=triggers or (HELLO,), activities=activities)
        return Proactive(self.app.work, evaluation, deliver_now=deliver_now)

    async def contact(self, *, trust: float | None = None, **values: Any) -> int:
        """Somebody with a phone number of their own, in UTC."""
        number = next(self._numbers)
        now = self.clock.now()
        defaults = {"name": "Ada Abara", "phone": f"+1810555{number:04}", "timezone": "UTC", "created_at": now}
        async with self.app.work.begin() as unit:
            row = Contractor(**{**defaults, "updated_at": now, **values})
            unit.session.add(row)
            await unit.session.flush()
            await follow(unit.session, [row.id], source="test", now=now)
            if trust is not None:
                unit.session.add(Trust(contact_id=row.id, score=trust, reason="test", updated_at=now))
        return row.id

    async def goal(
        self, contractor_id: int, *, idle_days: int, title: str = "Win three clients", **values: Any
    ) -> Goal:
        """A goal without progress for so many days."""
        goal = await self.app.proactive.goals.create(contractor_id, {"title": title, **values})
        await self.set(Goal, goal.id, last_progress_at=self.clock.now() - idle_days * DAY)
        return goal

    async def set(self, model: type[Any], row_id: int, **values: Any) -> None:
        """Changes a row as time or another program would."""
        async with self.app.work.begin() as unit:
            await unit.session.execute(update(model).where(model.id == row_id).values(**values))

    async def messages(self) -> list[ProactiveMessage]:
        """Every message, in order of id."""
        async with self.app.work.read() as session:
            return list(await session.scalars(select(ProactiveMessage).order_by(ProactiveMessage.id)))

    async def made(self, proactive: Proactive) -> ProactiveMessage:
        """The only message, which an evaluation makes."""
        await proactive.evaluate_proactive_triggers()
        [row] = await self.messages()
        return row

    async def deliver(self, message_id: int) -> object:
        """What a worker does when the message's job runs."""
        return await deliver(self.app, PROACTIVE_MESSAGE, message_id)

    async def sent(self, proactive: Proactive | None = None) -> ProactiveMessage:
        """The only message, made and gone out."""
        row = await self.made(proactive or self.proactive())
        await self.app.proactive.deliver_waiting()
        assert await self.deliver(row.id) == "sent"
        return await self.app.proactive.get_message(row.id)

    async def due_in(self, message_id: int) -> float | None:
        """Seconds until the message's job runs, None when there is none."""
        return await due_in(self.app, PROACTIVE_MESSAGE, message_id)

    async def lines(self, message_id: int) -> list[tuple[str, str | None]]:
        """Outcome and reason of every line in the ledger."""
        return [(line.outcome, line.reason) for line in await ledger(self.app, PROACTIVE_MESSAGE, message_id)]

    async def trust(self, contractor_id: int) -> float:
        async with self.app.work.read() as session:
            return (await trust_of(session, [contractor_id]))[contractor_id]
