"""A conversation's messages leave one after another: a later one waits until the one before has come to its end.

The conversation's row is the lock. Whoever adds a message holds it while looking for earlier ones; whoever ends one
takes it before looking for the next. So no message is forgotten between the two.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from tidings.clock import to_milliseconds
from tidings.engine.jobs import Job
from tidings.features.chat.jobs import SENDS
from tidings.features.chat.models import ChatMessage, Conversation, Role
from tidings.log import current_request_id
from tidings.messages.kind import wake
from tidings.messages.ledger import DeliveryStatus
from tidings.messages.statuses import OPEN, Reason, Status
from tidings.work import Unit


async def add_message(
    unit: Unit,
    conversation: Conversation,
    role: Role,
    content: str,
    now: datetime,
    *,
    author: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> ChatMessage:
    """Adds a message to the user. The caller has locked the conversation's row."""
    earlier = await unit.session.scalar(
        select(ChatMessage.id)
        .where(ChatMessage.conversation_id == conversation.id, ChatMessage.status.in_((*OPEN, Status.WAITING)))
        .limit(1)
    )
    moment = to_milliseconds(now)
    row = ChatMessage(
        conversation_id=conversation.id,
        role=role,
        content=content,
        author=author,
        turn=conversation.turn,
        delivery_status=DeliveryStatus.PENDING,
        details=dict(details or {}),
        request_id=current_request_id(),
        scheduled_time=moment,
        status=Status.SCHEDULED if earlier is None else Status.WAITING,
        status_reason=Reason.ANSWERS_USER if role == Role.ASSISTANT else Reason.BY_REQUEST,
        created_at=now,
        updated_at=now,
    )
    unit.session.add(row)
    conversation.last_message_at = conversation.updated_at = now
    await unit.session.flush()
    if earlier is None:
        unit.arm(wake(SENDS[row.queue], row))
    return row


async def release_next(connection: AsyncConnection, conversation_ids: Collection[int], now: datetime) -> list[Job]:
    """Lets the next waiting message of each conversation go that has none under way; returns their jobs."""
    await connection.execute(
        select(Conversation.id)
        .where(Conversation.id.in_(sorted(conversation_ids)))
        .order_by(Conversation.id)
        .with_for_update()
    )
    under_way = aliased(ChatMessage)
    following = (
        select(func.min(ChatMessage.id))
        .where(
            ChatMessage.conversation_id.in_(sorted(conversation_ids)),
            ChatMessage.status == Status.WAITING,
            ~exists().where(under_way.conversation_id == ChatMessage.conversation_id, under_way.status.in_(OPEN)),
        )
        .group_by(ChatMessage.conversation_id)
    )
    ids = (await connection.execute(following)).scalars().all()
    if not ids:
        return []
    rows = await connection.execute(
        update(ChatMessage)
        .where(ChatMessage.id.in_(ids), ChatMessage.status == Status.WAITING)
        .values(status=Status.SCHEDULED, updated_at=now)
        .returning(ChatMessage.id, ChatMessage.queue, ChatMessage.scheduled_time, ChatMessage.held_until)
    )
    return [wake(SENDS[row.queue], row) for row in rows]
