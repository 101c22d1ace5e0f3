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
from tidings.features.chat.answers.shown import MARKDOWN
from tidings.features.chat.conversations.store import Stored, store_message
from tidings.features.chat.conversations.turns import arm_answer
from tidings.features.chat.jobs import CHAT_MESSAGE
from tidings.features.chat.models import Chatbot, ChatChannel, ChatMessage, Conversation, Role
from tidings.features.chat.rules.throttle import Places
from tidings.features.chat.rules.turns import due_after
from tidings.features.chat.widget.provider import topic_of
from tidings.messages.inbound.reports import DeliveryReports
from tidings.messages.ledger import DeliveryStatus
from tidings.messages.statuses import Status
from tidings.messages.text.marks import in_html
from tidings.work import Work

TYPED = 2.0
"""Seconds that a page may be silent while somebody writes; it says so more often."""

LOOK_AGAIN = 20.0
"""Seconds between two looks for messages whose push was missed."""

MOST_PAGES, MOST_PAGES_OF_ONE = 5000, 10
"""Connections that one process holds, and those of one visitor among them."""

MOST_SHOWN = 100
"""Messages that one reading brings, the latest ones."""

OVERLAP = timedelta(minutes=1)
"""How far before the last seen message a reading begins: an answer may be sent after a later question was stored."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A message as the widget shows it; `client_id` is what the page itself called its own.

    `html` is the text with its marks where it is Markdown, safe to put into the page.
    """

    id: int
    role: str
    text: str
    at: datetime
    client_id: str | None
    html: str | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "role": self.role,
            "text": self.text,
            "at": self.at.isoformat(),
            **({} if self.client_id is None else {"client_id": self.client_id}),
            **({} if self.html is None else {"html": self.html}),
        }


@dataclass(frozen=True, slots=True)
class Reading:
    """A visitor's messages in the order in which they are shown, and whether an answer is being made."""

    messages: Sequence[Shown]
    typing: bool


class Widget:
    """The widget's side of the conversations on its channel: every verb is about one visitor of one chatbot.

    `look_again` is how often an open page looks for messages whose push was missed (real seconds), and `places` are
    the connections that this process holds.
    """

    def __init__(
        self, work: Work, broadcast: Broadcast, reports: DeliveryReports, *, look_again: float = LOOK_AGAIN
    ) -> None:
        self._work = work
        self._broadcast = broadcast
        self._reports = reports
        self.look_again = look_again
        self.places = Places(MOST_PAGES, MOST_PAGES_OF_ONE)

    async def find(self, widget_key: str) -> Chatbot:
        """The chatbot that a key names. Raises NotFound."""
        async with self._work.read() as session:
            row: Chatbot | None = await session.scalar(select(Chatbot).where(Chatbot.widget_key == widget_key))
        if row is None:
            raise NotFound("widget", widget_key)
        return row

    def listen(self, chatbot_id: int, visitor: str) -> AbstractContextManager[News]:
        """Ids of the visitor's new messages, for as long as the context lasts."""
        return self._broadcast.listen(topic_of(chatbot_id, visitor))

    async def tell(self, chatbot_id: int, visitor: str, message_id: int) -> None:
        """Tells the visitor's open pages of a message; those that Redis does not reach see it at their next look."""
        with suppress(QueueUnavailable):
            await self._broadcast.publish(topic_of(chatbot_id, visitor), str(message_id))

    async def read(self, chatbot_id: int, visitor: str, after: int = 0) -> Reading:
        """What a page that saw the message `after` last may not have: later ones, and those not acknowledged.

        It may bring some that the page has; their ids tell. With `after` 0 it brings the latest ones.
        """
        async with self._work.read() as session:
            conversation = await _conversation(session, chatbot_id, visitor)
            if conversation is None:
                return Reading((), typing=False)
            shown_at = func.coalesce(ChatMessage.sent_at, ChatMessage.created_at)
            visible = or_(ChatMessage.role == Role.USER, ChatMessage.status == Status.SENT)
            query = select(ChatMessage).where(ChatMessage.conversation_id == conversation.id, visible)
            seen = await session.get(ChatMessage, after) if after else None
            if seen is not None and seen.conversation_id == conversation.id:
                since = (seen.sent_at or seen.created_at) - OVERLAP
                pending = (DeliveryStatus.PENDING, DeliveryStatus.SENT)
                query = query.where(
                    or_(ChatMessage.id > after, shown_at >= since, ChatMessage.delivery_status.in_(pending))
                )
            rows = await session.scalars(query.order_by(shown_at.desc(), ChatMessage.id.desc()).limit(MOST_SHOWN))
            return Reading([_shown(row) for row in reversed(rows.all())], typing=_is_answering(conversation))

    async def read_message(self, chatbot_id: int, visitor: str, message_id: int) -> Reading:
        """One message that is being handed over right now, or that a page of the visitor's has just written."""
        async with self._work.read() as session:
            conversation = await _conversation(session, chatbot_id, visitor)
            row = await session.get(ChatMessage, message_id) if conversation else None
        if conversation is None or row is None or row.conversation_id != conversation.id:
            return Reading((), typing=False)
        if row.role != Role.USER and row.status not in (Status.SENDING, Status.SENT):
            return Reading((), typing=_is_answering(conversation))
        return Reading([_shown(row)], typing=_is_answering(conversation))

    async def write(self, chatbot_id: int, visitor: str, text: str, client_id: str) -> Stored:
        """Stores what a page wrote, once under its `client_id`. Raises InvalidInput and NotFound."""
        return await store_message(
            self._work,
            {
                "chatbot_id": chatbot_id,
                "channel": ChatChannel.WIDGET,
                "external_user_id": visitor,
                "content": text,
                "external_id": client_id,
            },
        )

    async def note_typing(self, chatbot_id: int, visitor: str) -> bool:
        """Puts the answer to a burst off, since its visitor goes on writing; False when none waits to be made.

        It is never put off beyond the bound that the burst has.
        """
        async with self._work.read() as session:
            found = await _conversation(session, chatbot_id, visitor)
            chatbot = await session.get(Chatbot, chatbot_id)
        if found is None or chatbot is None or not _is_answering(found):
            return False
        async with self._work.begin() as unit:
            row = await unit.session.get(Conversation, found.id, with_for_update=True)
            if row is None or not _is_answering(row) or row.answer_due is None:
                return False
            due, _ = due_after(self._work.clock, row.answer_by, max(chatbot.debounce, TYPED))
            if due <= row.answer_due or row.answer_due <= self._work.clock.now():  # it is being made already
                return False
            row.answer_due = due
            await arm_answer(unit, row, chatbot.customer_id)
            return True

    async def mark_shown(
        self, chatbot_id: int, visitor: str, message_ids: Collection[int], status: DeliveryStatus
    ) -> int:
        """Moves messages to DELIVERED (a page has them) or READ (it shows them); returns how many it moved.

        Ids of other conversations are ignored, and no status moves down.
        """
        async with self._work.begin() as unit:
            session = unit.session
            conversation = await _conversation(session, chatbot_id, visitor)
            if conversation is None:
                return 0
            theirs = await session.scalars(
                select(ChatMessage.id)
                .where(
                    ChatMessage.id.in_(sorted(message_ids)),
                    ChatMessage.conversation_id == conversation.id,
                    ChatMessage.role != Role.USER,
                    ChatMessage.status.in_((Status.SENDING, Status.SENT)),
                )
                .order_by(ChatMessage.id)
                .with_for_update()
            )
            return sum([await self._reports.move(unit, CHAT_MESSAGE, one, status) for one in theirs.all()])


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


def _shown(row: ChatMessage) -> Shown:
    own = row.external_id if row.role == Role.USER else None
    html = in_html(row.content) if row.details.get("format") == MARKDOWN else None
    return Shown(row.id, row.role, row.content, row.sent_at or row.created_at, own, html)
