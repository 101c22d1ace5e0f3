"""Where the contractors of follow-ups are: their own zone, their number's, their event's, or the default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.features.followups.models import EVENTS, FollowUp
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.gate.zones import Zone, zone_of

ZONE_COLUMNS = (
    Contractor.phone.label("phone"),
    Contractor.timezone.label("contractor_timezone"),
    EVENTS.c.timezone.label("event_timezone"),
)
"""What `zone_of_row` reads."""


def zone_of_row(row: Mapping[Any, Any], timezone: str) -> Zone:
    """Where the contractor of a loaded row is. `timezone` is that of contractors whose own nothing tells."""
    return zone_of(row["phone"], row["contractor_timezone"], timezone, event=row["event_timezone"])


async def zones_of_follow_ups(session: AsyncSession, ids: Sequence[int], timezone: str) -> dict[int, Zone]:
    """The zones of follow-ups by their ids, as they are planned now. `timezone` as above."""
    rows = await session.execute(
        select(FollowUp.id, *ZONE_COLUMNS)
        .join(Contractor, Contractor.id == FollowUp.contractor_id)
        .outerjoin(EVENTS, EVENTS.c.id == FollowUp.event_id)
        .where(FollowUp.id.in_(ids))
    )
    return {row["id"]: zone_of_row(row, timezone) for row in rows.mappings()}
