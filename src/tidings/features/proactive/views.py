"""Stored messages as people read them: with the contact's name, and counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.features.proactive.models import Approval, ProactiveMessage
from tidings.features.proactive.schemas import TypeStats
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.statuses import Status

AWAITS_APPROVAL = (ProactiveMessage.status == Status.WAITING, ProactiveMessage.approval == Approval.PENDING)


async def page(
    session: AsyncSession, conditions: Sequence[ColumnElement[bool]], after_id: int, limit: int
) -> list[dict[str, Any]]:
    """Messages that meet all the conditions, in order of id, with the names of their contacts."""
    rows = await session.execute(
        select(ProactiveMessage, Contractor.name)
        .join(Contractor, Contractor.id == ProactiveMessage.contractor_id)
        .where(ProactiveMessage.id > after_id, *conditions)
        .order_by(ProactiveMessage.id)
        .limit(limit)
    )
    return [
        {
            **{column.key: getattr(message, column.key) for column in ProactiveMessage.__table__.columns},
            "contractor_name": name,
        }
        for message, name in rows
    ]


async def count_by_type(session: AsyncSession) -> dict[str, TypeStats]:
    """How many messages of each type stand where."""
    rows = await session.execute(
        select(
            ProactiveMessage.message_type,
            ProactiveMessage.status,
            ProactiveMessage.approval,
            func.count(),
            func.count(ProactiveMessage.response_received_at),
        )
        .group_by(ProactiveMessage.message_type, ProactiveMessage.status, ProactiveMessage.approval)
        .order_by(ProactiveMessage.message_type)
    )
    counts: dict[str, TypeStats] = {}
    for message_type, status, approval, messages, replied in rows:
        stats = counts.setdefault(message_type, TypeStats())
        setattr(stats, status, getattr(stats, status) + messages)
        if status == Status.WAITING and approval == Approval.PENDING:
            stats.awaiting_approval += messages
        stats.replied += replied
    return counts


def total(counts: Sequence[TypeStats]) -> dict[str, int]:
    """The sums over all types."""
    return {name: sum(getattr(stats, name) for stats in counts) for name in TypeStats.model_fields}
