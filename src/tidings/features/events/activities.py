"""What the events tell other features about a contact: which events they have been to."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.feature import Activity
from tidings.features.events.models import Event, EventStatus, Registration

ENDED = "event_ended"


async def event_activities(session: AsyncSession, contractor_ids: Sequence[int]) -> list[Activity]:
    """For each of the contacts the events that they were registered for and that are over."""
    rows = await session.execute(
        select(Registration.contractor_id, Event.end_time, Event.name, Event.id)
        .join(Event, Event.id == Registration.event_id)
        .where(
            Registration.contractor_id.in_(contractor_ids),
            Registration.cancelled_at.is_(None),
            Event.status == EventStatus.COMPLETED,
        )
        .order_by(Event.end_time, Event.id)
    )
    return [
        Activity(contractor_id, ENDED, end, {"event_name": name, "event_id": event_id})
        for contractor_id, end, name, event_id in rows
    ]
