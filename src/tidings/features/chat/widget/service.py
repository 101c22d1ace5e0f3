"""What the web widget reads and writes: the chatbot behind its key, a visitor's messages, and what was shown."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.engine.broadcast import Broadcast, News
from tidings.errors import NotFound, QueueUnavailable
from tidings.features.chat.conversations.reports import move_status
from tidings.features.chat.models import Chatbot, ChatChannel, Conversation, Message, Role
from tidings.features.chat.widget.provider import topic_of
from tidings.messages.ledger import DeliveryStatus
from tidings.messages.statuses import Status
from tidings.work import Work

MOST_SHOWN = 100
"""Messages that one reading brings, the latest ones."""

OVERLAP = timedelta(minutes=1)
"""How far before the last seen message a reading begins: an answer may be sent after a later question was stored."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A message as the widget shows it; `client_id` is what the page itself called its own."""

    id: int
    role: str
    text: str
    at: datetime
    client_id: str | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "role": self.role,
            "text": self.text,
            "at": self.at.isoformat(),
            **({} if self.client_id is None else {"client_id": self.client_id}),
        }


@dataclass(frozen=True, slots=True)
class Reading:
    """A visitor's messages in the order in which they are shown, and whether an answer is being made."""

    messages: Sequence[Shown]
    typing: bool


class Widgets:
    """The widget's side of the conversations on its channel: every verb is about one visitor of one chatbot."""

    _work: Work
    _broadcast: Broadcast

    async def find_widget(self, widget_key: str) -> Chatbot:
        """The chatbot that a key names. Raises NotFound."""
        async with self._work.read() as session:
            row: Chatbot | None = await session.scalar(select(Chatbot).where(Chatbot.widget_key == widget_key))
        if row is None:
            raise NotFound("widget", widget_key)
        return row

    def listen_to_widget(self, chatbot_id: int, visitor: str) -> AbstractContextManager[News]:
        """Ids of the visitor's new messages, for as long as the context lasts."""
        return self._broadcast.listen(topic_of(chatbot_id, visitor))

    async def tell_widget(self, chatbot_id: int, visitor: str, message_id: int) -> None:
        """Tells the visitor's open pages of a message; those that Redis does not reach see it at their next look."""
        with suppress(QueueUnavailable):
            await self._broadcast.publish(topic_of(chatbot_id, visitor), str(message_id))

    async def read_widget(self, chatbot_id: int, visitor: str, after: int = 0) -> Reading:
        """What a page that saw the message `after` last may not have: later ones, and those not acknowledged.

        It may bring some that the page has; their ids tell. With `after` 0 it brings the latest ones.
        """
        async with self._work.read() as session:
            conversation = await _conversation(session, chatbot_id, visitor)
            if conversation is None:
                return Reading((), typing=False)
            shown_at = func.coalesce(Message.sent_at, Message.created_at)
            visible = or_(Message.role == Role.USER, Message.status == Status.SENT)
            query = select(Message).where(Message.conversation_id == conversation.id, visible)
            seen = await session.get(Message, after) if after else None
            if seen is not None and seen.conversation_id == conversation.id:
                since = (seen.sent_at or seen.created_at) - OVERLAP
                pending = (DeliveryStatus.PENDING, DeliveryStatus.SENT)
                query = query.where(or_(Message.id > after, shown_at >= since, Message.delivery_status.in_(pending)))
            rows = await session.scalars(query.order_by(shown_at.desc(), Message.id.desc()).limit(MOST_SHOWN))
            return Reading([_shown(row) for row in reversed(rows.all())], typing=_is_answering(conversation))

    async def read_widget_message(self, chatbot_id: int, visitor: str, message_id: int) -> Reading:
        """One message that the road out hands over right now, or that a page of the visitor's has just written."""
        async with self._work.read() as session:
            conversation = await _conversation(session, chatbot_id, visitor)
            row = await session.get(Message, message_id) if conversation else None
        if conversation is None or row is None or row.conversation_id != conversation.id:
            return Reading((), typing=False)
        if row.role != Role.USER and row.status not in (Status.SENDING, Status.SENT):
            return Reading((), typing=_is_answering(conversation))
        return Reading([_shown(row)], typing=_is_answering(conversation))

    async def mark_shown(
        self, chatbot_id: int, visitor: str, message_ids: Collection[int], status: DeliveryStatus
    ) -> int:
        """Moves messages to DELIVERED (a page has them) or READ (it shows them); returns how many it moved.

        Ids of other conversations are ignored, and no status moves down.
        """
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            session = unit.session
            conversation = await _conversation(session, chatbot_id, visitor)
            if conversation is None:
                return 0
            theirs = await session.scalars(
                select(Message.id)
                .where(
                    Message.id.in_(sorted(message_ids)),
                    Message.conversation_id == conversation.id,
                    Message.role != Role.USER,
                    Message.status.in_((Status.SENDING, Status.SENT)),
                )
                .order_by(Message.id)
            )
            return sum([await move_status(unit, message_id, status, now, now) for message_id in theirs.all()])


async def _conversation(session: AsyncSession, chatbot_id: int, visitor: str) -> Conversation | None:
    row: Conversation | None = await session.scalar(
        select(Conversation).where(
            Conversation.chatbot_id == chatbot_id,
            Conversation.channel == ChatChannel.WIDGET,
            Conversation.external_user_id == visitor,
        )
    )
    return row


def _is_answering(conversation: Conversation) -> bool:
    return conversation.taken_over_at is None and conversation.answer_due is not None


def _shown(row: Message) -> Shown:
    own = row.external_id if row.role == Role.USER else None
    return Shown(row.id, row.role, row.content, row.sent_at or row.created_at, own)
