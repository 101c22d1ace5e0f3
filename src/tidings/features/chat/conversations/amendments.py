"""Messages that were edited or deleted afterwards, by the user, or by the business in its phone app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Exists, exists, select

from tidings.features.chat.conversations.identities import conversations_of
from tidings.features.chat.conversations.turns import arm_answer, disarm_answer, settle
from tidings.features.chat.jobs import INCOMING_MESSAGE, IncomingMessageJob
from tidings.features.chat.lookup import find_chatbot
from tidings.features.chat.models import RECEIVED, ChatChannel, ChatMessage, Conversation, Role
from tidings.features.chat.rules.turns import due_after
from tidings.work import Unit, Work

DELETED = "[message deleted]"


@dataclass(frozen=True, slots=True)
class Amendment:
    """The message `external_id` in a conversation with one of `addresses` says `content` now; None: it is deleted.

    `by` is the id of the message that tells so, `role` who wrote the one that it is about.
    """

    chatbot_id: int
    addresses: frozenset[str]
    role: Role
    external_id: str
    by: str
    content: str | None


async def amend(work: Work, wanted: Amendment) -> bool:
    """Changes a stored message; False when there is none, or when an edited one has been answered already.

    What is not answered yet is answered as it stands now; an answer that is being made to the former words is
    dropped. Of what was deleted no word is kept.
    """
    async with work.begin() as unit:
        return await _amend(unit, work, wanted)


async def _amend(unit: Unit, work: Work, wanted: Amendment) -> bool:
    session, now = unit.session, work.clock.now()
    query = conversations_of(wanted.chatbot_id, ChatChannel.WHATSAPP_CLOUD, wanted.addresses)
    ids = [row.id for row in await session.scalars(query)]
    found = select(ChatMessage).where(
        ChatMessage.conversation_id.in_(ids),
        ChatMessage.external_id == wanted.external_id,
        ChatMessage.role == wanted.role,
    )
    # The message before its conversation, as everybody locks who locks both.
    row = await session.scalar(found.with_for_update().execution_options(populate_existing=True))
    if row is None:
        return False
    conversation = await session.get(Conversation, row.conversation_id, with_for_update=True, populate_existing=True)
    if conversation is None:
        return False
    if wanted.by in row.details.get("changed_by", ()):
        return True
    pending = row.role == Role.USER and row.turn > conversation.answered_turn
    if row.role == Role.USER and not pending and wanted.content is not None:
        return False  # a new message, then
    row.content, row.updated_at = wanted.content or DELETED, now
    kept = row.details if wanted.content is not None else _without_words(row.details)
    row.details = {**kept, "changed_by": [*kept.get("changed_by", ()), wanted.by]}
    if not pending:
        return True
    disarm_answer(unit, conversation.id, conversation.turn)
    conversation.turn += 1  # an answer to the former words is of no use
    if wanted.content is not None:
        row.turn, row.status = conversation.turn, RECEIVED  # it may say STOP now
        unit.arm(INCOMING_MESSAGE.job(IncomingMessageJob(id=row.id)))
    elif not await session.scalar(select(_asked(conversation, row.id))):
        settle(conversation, conversation.turn)
        return True
    if conversation.answer_due is not None:
        chatbot = await find_chatbot(session, conversation.chatbot_id)
        due, bound = due_after(work.clock, conversation.answer_by, chatbot.debounce)
        conversation.answer_due, conversation.answer_by = due, bound
        await arm_answer(unit, conversation, chatbot.customer_id)
    return True


def _asked(conversation: Conversation, but: int) -> Exists:
    """Whether something else is still to be answered."""
    return exists().where(
        ChatMessage.conversation_id == conversation.id,
        ChatMessage.role == Role.USER,
        ChatMessage.turn > conversation.answered_turn,
        ChatMessage.id != but,
        ChatMessage.content != DELETED,
    )


def _without_words(details: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if name != "payload"}
