"""Two programs that answer each other: the conversation is handed to a person, and the customer is told."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from tidings.customer_webhooks import events
from tidings.features.chat.conversations.store import conversation_facts
from tidings.features.chat.conversations.turns import disarm_answer
from tidings.features.chat.lookup import last_messages
from tidings.features.chat.models import Chatbot, ChatMessage, Conversation, Role
from tidings.features.chat.rules.loops import LOOKED_AT, NOTICES, Said, find_loop
from tidings.log import get_logger
from tidings.messages.statuses import Status
from tidings.work import Unit

log = get_logger(__name__)

BY = "Tidings"
"""Who has taken such a conversation over, until a person does."""

_RESUMED = "resumed_after_turn"
_TYPED = frozenset({"text", "edit"})
_GONE = (Status.SENDING, Status.SENT, Status.UNKNOWN)


def resume(conversation: Conversation) -> None:
    """What was said so far shows nothing any more: a person has looked at it."""
    conversation.details = {**conversation.details, _RESUMED: conversation.turn}


async def look_for_loop(session: AsyncSession, conversation: Conversation) -> str | None:
    """Why a conversation looks like one with a program; None when it does not."""
    since = conversation.details.get(_RESUMED, 0)
    if conversation.turn - since <= NOTICES:
        return None
    rows = await last_messages(session, conversation.id, LOOKED_AT)
    by_people = [place for place, row in enumerate(rows) if row.role == Role.HUMAN]
    told = [
        said for row in rows[by_people[-1] + 1 if by_people else 0 :] if row.turn > since and (said := _said(row))
    ]
    return find_loop(told)


def _said(row: ChatMessage) -> Said | None:
    """Reactions are beside the exchange, and what has not left has been answered by nobody."""
    kind = row.details.get("type", "text")
    if row.role == Role.USER:
        typed = kind in _TYPED and not row.content.startswith("[")
        return None if kind == "reaction" else Said(False, row.content, row.created_at, typed)
    if row.status not in _GONE:
        return None
    return Said(True, row.content, row.sent_at or row.updated_at, made_at=row.created_at)


async def hand_over(unit: Unit, conversation: Conversation, chatbot: Chatbot, reason: str, now: datetime) -> None:
    """Has the chatbot be silent and tells the customer why. The caller has locked the conversation's row."""
    conversation.taken_over_at, conversation.taken_over_by, conversation.taken_over_reason = now, BY, reason
    conversation.answer_due = conversation.answer_by = None
    disarm_answer(unit, conversation.id, conversation.turn)
    log.warning("a chatbot is silent until a person looks at it", conversation_id=conversation.id, reason=reason)
    facts = {**conversation_facts(conversation, chatbot), "by": BY, "reason": reason}
    await events.emit(unit, chatbot.customer_id, events.CONVERSATION_TAKEN_OVER, facts, now)
