"""The question that a due turn asks: the unanswered messages of a conversation, and those before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from tidings.features.chat.lookup import last_messages
from tidings.features.chat.models import Chatbot, ChatChannel, Conversation, Role
from tidings.messages.statuses import Status

CONTEXT = 10
"""Messages of the conversation that an answer is made from."""


@dataclass(frozen=True, slots=True)
class Question:
    """One turn to answer: where, the chatbot, the unanswered messages as one text, and those before and with them."""

    conversation_id: int
    channel: ChatChannel
    turn: int
    chatbot: Chatbot
    text: str
    history: Sequence[tuple[str, str]]


async def read_question(session: AsyncSession, conversation_id: int, turn: int | None) -> Question | str:
    """The turn to answer (None: the latest one), or why there is nothing to do."""
    conversation = await session.get(Conversation, conversation_id)
    chatbot = await session.get(Chatbot, conversation.chatbot_id) if conversation else None
    if conversation is None or chatbot is None:
        return "there is no such conversation"
    turn = conversation.turn if turn is None else turn
    if reason := pointless(conversation, turn):
        return reason
    history = await last_messages(session, conversation.id, CONTEXT)
    asked = [row.content for row in history if row.role == Role.USER and row.turn > conversation.answered_turn]
    said = [
        ("user" if row.role == Role.USER else "assistant", row.content)
        for row in history
        if row.status not in (Status.SKIPPED, Status.FAILED, Status.CANCELLED)
    ]
    return Question(conversation.id, ChatChannel(conversation.channel), turn, chatbot, "\n".join(asked), said)


def pointless(conversation: Conversation, turn: int) -> str | None:
    """Why a turn is not to be answered any more; None when it is."""
    if conversation.turn != turn:
        return "a newer message has come"
    if conversation.answered_turn >= turn:
        return "it is answered already"
    return "a person has taken over" if conversation.taken_over_at is not None else None
