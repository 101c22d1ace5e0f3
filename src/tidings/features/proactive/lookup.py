"""Finds one stored proactive message; whoever changes it locks it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import NotFound
from tidings.features.proactive.models import ProactiveMessage


async def find_message(session: AsyncSession, message_id: int, *, lock: bool = False) -> ProactiveMessage:
    """The message; with `lock` nobody else changes it until the unit of work ends. Raises NotFound."""
    query = select(ProactiveMessage).where(ProactiveMessage.id == message_id)
    row = await session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound("proactive message", message_id)
    return row
