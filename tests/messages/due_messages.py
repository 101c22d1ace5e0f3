"""Messages that are due to one person, a provider whose answers a test gives, and what becomes of them."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from support.app import deliver
from tidings.app import App
from tidings.engine.jobs import GiveUpJob, PostponeJob
from tidings.errors import SendError
from tidings.features.events.models import EventMessage
from tidings.features.followups.models import FollowUp
from tidings.messages.gate.terms import Terms
from tidings.messages.kind import Message
from tidings.providers.base import Outgoing, Receipt

OpenApp = Callable[..., Awaitable[App]]

NOON = datetime(2026, 11, 24, 17, tzinfo=UTC)
"""On the clocks of New York, where the person lives."""

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PHONE, MAIL = "+12125550123", "ada@example.com"
EVENT_MESSAGE, FOLLOW_UP = "event-message", "follow-up"

_numbers = itertools.count(1)


class Provider:
    """Remembers what it took, and refuses as long as it has refusals. `on_send` is called before it answers."""

    name = "carrier"
    drops_repetitions = False

    def __init__(self, *refusals: SendError) -> None:
        self.refusals = list(refusals)
        self.on_send: Callable[[], object] = lambda: None
        self.asked: list[str] = []
        self.sent: list[str] = []

    async def send(self, outgoing: Outgoing) -> Receipt:
        self.asked.append(outgoing.idempotency_key)
        self.on_send()
        if self.refusals:
            raise self.refusals.pop(0)
        self.sent.append(outgoing.to)
        return Receipt(self.name, outgoing.idempotency_key)

    async def close(self) -> None:
        """Nothing to release."""


async def person_of(app: App, **more: Any) -> int:
    """A contact of New York, by the number."""
    person, _ = await app.events.create_contractor({"name": "Ada Abara", "phone": PHONE, "email": MAIL, **more})
    return person.id


async def message_to(app: App, person: int, **more: Any) -> EventMessage:
    """A transactional message that is due now, and of use for an hour."""
    now = app.clock.now()
    event = await app.events.create_event(
        {"name": "DemoCon", "date": (now + DAY).date().isoformat(), "timezone": "UTC"}
    )
    return await app.events.schedule_event_message(
        {
            "event_id": event.id,
            "contractor_id": person,
            "message_type": "sponsor_recommendation",
            "scheduled_time": now.isoformat(),
            "session_key": f"s{next(_numbers)}",
            "message_content": "Meet our sponsors",
            **more,
        }
    )


async def follow_up_to(app: App, person: int, **more: Any) -> FollowUp:
    """A promotional message that is due now, needs no consent, and is of use for three days."""
    return await app.followups.schedule_follow_up(
        {
            "contractor_id": person,
            "scheduled_time": app.clock.now(),
            "followup_type": "check_in",
            "message_template": "Hi {{ first_name }}, how is it going?",
            **more,
        }
    )


async def outcome_of(app: App, kind: str, message_id: int, *, attempt: int = 1, last: bool = False) -> Any:
    """What became of a message when its job ran: the handler's word, or how long it has to wait."""
    try:
        return await deliver(app, kind, message_id, attempt=attempt, last=last)
    except PostponeJob as postponed:
        return postponed.until - app.clock.now()
    except (SendError, GiveUpJob) as error:
        return f"{type(error).__name__}: {error}"


def change(app: App, kind: str, **methods: Any) -> None:
    """Has an open application's kind of messages do something else from now on."""
    for name, method in methods.items():
        setattr(app.kinds[kind], name, method)


def on_terms(app: App, kind: str, terms: Terms) -> None:
    """Has a kind's messages go out on other terms."""
    load = app.kinds[kind].load

    async def with_terms(connection: AsyncConnection, ids: Sequence[int]) -> list[Message]:
        return [replace(message, terms=terms) for message in await load(connection, ids)]

    change(app, kind, load=with_terms)
