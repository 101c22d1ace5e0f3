"""The verbs of conversations: reading them, taking them over, writing to the user, and handing them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from tidings.customer_webhooks import events
from tidings.feature import parse
from tidings.features.chat.conversations.automatic import resume
from tidings.features.chat.conversations.order import add_message
from tidings.features.chat.conversations.schemas import HumanMessageIn, TakeOverIn
from tidings.features.chat.conversations.sendable import require_sendable
from tidings.features.chat.conversations.turns import arm_answer, disarm_answer, settle
from tidings.features.chat.lookup import find_chatbot, find_conversation
from tidings.features.chat.models import ChatChannel, ChatMessage, Conversation, Role
from tidings.features.chat.rules.turns import due_after
from tidings.vault import Vault
from tidings.work import Unit, Work


class Conversations:
    """Conversations of one chatbot at a time: another chatbot's are not found."""

    def __init__(self, work: Work, vault: Vault) -> None:
        self._work = work
        self._vault = vault

    async def list(
        self,
        chatbot_id: int,
        *,
        channel: ChatChannel | None = None,
        taken_over: bool | None = None,
        after_id: int = 0,
        limit: int = 100,
    ) -> Sequence[Conversation]:
        """A chatbot's conversations in order of id; the last id is the next page's `after_id`. Raises NotFound."""
        query = select(Conversation).where(Conversation.chatbot_id == chatbot_id, Conversation.id > after_id)
        if channel is not None:
            query = query.where(Conversation.channel == channel)
        if taken_over is not None:
            query = query.where(Conversation.taken_over_at.is_not(None) == taken_over)
        async with self._work.read() as session:
            await find_chatbot(session, chatbot_id)
            return (await session.scalars(query.order_by(Conversation.id).limit(limit))).all()

    async def get(self, chatbot_id: int, conversation_id: int) -> Conversation:
        """One conversation. Raises NotFound."""
        async with self._work.read() as session:
            return await find_conversation(session, chatbot_id, conversation_id)

    async def list_messages(
        self, chatbot_id: int, conversation_id: int, *, after_id: int = 0, limit: int = 100
    ) -> Sequence[ChatMessage]:
        """A conversation's messages in order of id; the last id is the next page's `after_id`. Raises NotFound."""
        async with self._work.read() as session:
            await find_conversation(session, chatbot_id, conversation_id)
            query = select(ChatMessage).where(
                ChatMessage.conversation_id == conversation_id, ChatMessage.id > after_id
            )
            return (await session.scalars(query.order_by(ChatMessage.id).limit(limit))).all()

    async def take_over(self, chatbot_id: int, conversation_id: int, by: str) -> Conversation:
        """Has a person answer from now on; the chatbot is silent, also with what it had ready.

        Taking over again changes who it is. Raises NotFound and InvalidInput.
        """
        who = parse(TakeOverIn, {"by": by}).by
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            row = await find_conversation(unit.session, chatbot_id, conversation_id, lock=True)
            row.taken_over_at, row.taken_over_by, row.updated_at = row.taken_over_at or now, who, now
            row.taken_over_reason = None
            row.answer_due = row.answer_by = None
            disarm_answer(unit, row.id, row.turn)
            await self._tell(unit, row, events.CONVERSATION_TAKEN_OVER, by=who)
            return row

    async def hand_back(self, chatbot_id: int, conversation_id: int) -> Conversation:
        """Has the chatbot answer again, beginning with what the user wrote that nobody answered.

        Handing back again is harmless. Raises NotFound.
        """
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            row = await find_conversation(unit.session, chatbot_id, conversation_id, lock=True)
            if row.taken_over_at is None:
                return row
            chatbot = await find_chatbot(unit.session, chatbot_id)
            row.taken_over_at = row.taken_over_by = row.taken_over_reason = None
            row.updated_at = now
            resume(row)
            if chatbot.active and row.turn > row.answered_turn:
                row.answer_due, row.answer_by = due_after(self._work.clock, None, 0.0)
                await arm_answer(unit, row, chatbot.customer_id)
            await self._tell(unit, row, events.CONVERSATION_HANDED_BACK)
            return row

    async def send_message(
        self, chatbot_id: int, conversation_id: int, message: HumanMessageIn | Mapping[str, Any]
    ) -> ChatMessage:
        """Sends the user what a person wrote, behind everything that is under way to the user.

        It counts as the answer to all that the user has written. What the channel cannot take is refused before
        anything is stored. Raises NotFound, InvalidInput and Conflict.
        """
        wanted = parse(HumanMessageIn, message)
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            row = await find_conversation(unit.session, chatbot_id, conversation_id, lock=True)
            chatbot = await find_chatbot(unit.session, chatbot_id)
            await require_sendable(unit.session, self._vault, chatbot, row, wanted.content, now)
            sent = await add_message(unit, row, Role.HUMAN, wanted.content, now, author=wanted.author)
            settle(row, row.turn)
            return sent

    async def _tell(self, unit: Unit, row: Conversation, event: str, **more: Any) -> None:
        chatbot = await find_chatbot(unit.session, row.chatbot_id)
        facts = {
            "conversation_id": row.id,
            "chatbot_id": row.chatbot_id,
            "channel": row.channel,
            "external_user_id": row.external_user_id,
            **more,
        }
        await events.emit(unit, chatbot.customer_id, event, facts, self._work.clock.now())
