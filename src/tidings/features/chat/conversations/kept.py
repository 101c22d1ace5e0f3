"""For how long conversations are kept, their messages, and what they cost."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, or_

from tidings.features.chat.models import RECEIVED, ChatMessage, Conversation, UsageLog
from tidings.features.chat.settings import ChatSettings
from tidings.messages.retention import Keeping, days
from tidings.messages.statuses import OPEN, Status


def kept_conversations(settings: ChatSettings) -> tuple[Keeping, ...]:
    """Messages first: a conversation goes when it has none left and nobody has written since."""
    age = days(settings.keep_conversations_days)
    return (
        Keeping(ChatMessage, ChatMessage.created_at, age, _has_ended),
        Keeping(Conversation, Conversation.created_at, age, _is_over),
        Keeping(UsageLog, UsageLog.at, days(settings.keep_usage_logs_days)),
    )


def _has_ended(before: datetime) -> ColumnElement[bool]:
    return ChatMessage.status.not_in((*OPEN, Status.WAITING, RECEIVED))


def _is_over(before: datetime) -> ColumnElement[bool]:
    return and_(
        or_(Conversation.last_message_at.is_(None), Conversation.last_message_at < before),
        Conversation.answer_due.is_(None),
        ~exists().where(ChatMessage.conversation_id == Conversation.id),
    )
