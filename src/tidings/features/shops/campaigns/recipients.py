"""The rows of a campaign's recipients: how many are under way, and those that go back to waiting."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from tidings.db.rows import locked_ids
from tidings.features.shops.jobs import DELIVERY, SEND, SendData
from tidings.features.shops.models import ShopMessage
from tidings.messages.statuses import OPEN, Status
from tidings.work import Unit

LONG = timedelta(minutes=1)
"""A recipient who is put off for longer than this goes back to waiting."""


async def count_under_way(
    connection: AsyncConnection | AsyncSession, campaign_ids: Sequence[int], now: datetime
) -> int:
    """Released recipients without an end, but for those who are put off for long."""
    soon = or_(ShopMessage.held_until.is_(None), ShopMessage.held_until <= now + LONG)
    found = await connection.scalar(
        select(func.count()).where(
            ShopMessage.campaign_id.in_(campaign_ids),
            ShopMessage.status.in_(OPEN),
            or_(ShopMessage.status == Status.SENDING, soon),
        )
    )
    return found or 0


async def put_back(unit: Unit, campaign_ids: Sequence[int], which: ColumnElement[bool] | None = None) -> int:
    """Takes released recipients that no worker holds back to waiting. Returns how many."""
    held = and_(ShopMessage.campaign_id.in_(campaign_ids), ShopMessage.status == Status.SCHEDULED)
    taken = await unit.session.execute(
        update(ShopMessage)
        .where(ShopMessage.id.in_(locked_ids(ShopMessage, held if which is None else and_(held, which))))
        .values(
            status=Status.WAITING,
            scheduled_time=func.coalesce(ShopMessage.held_until, ShopMessage.scheduled_time),
            held_until=None,
        )
        .returning(ShopMessage.id)
        .execution_options(synchronize_session=False)
    )
    ids = list(taken.scalars())
    for message_id in ids:
        unit.disarm(DELIVERY.name, SEND.id_of(SendData(id=message_id)))
    return len(ids)


async def return_paused(connection: AsyncConnection, message_ids: Sequence[int]) -> None:
    """Rows that were claimed although their campaign is paused: back to waiting, as if nobody had taken them.

    To be called from `MessageKind.load`, in the transaction of the claim, which then has no message for them.
    """
    if message_ids:
        await connection.execute(
            update(ShopMessage)
            .where(ShopMessage.id.in_(message_ids))
            .values(status=Status.WAITING, held_until=None, attempts=ShopMessage.attempts - 1)
        )


async def has_recipients(session: AsyncSession, campaign_id: int, statuses: Sequence[str]) -> bool:
    """Whether any recipient of a campaign has one of the statuses."""
    query = select(ShopMessage.id).where(ShopMessage.campaign_id == campaign_id, ShopMessage.status.in_(statuses))
    return await session.scalar(query.limit(1)) is not None
