"""The query that loads messages with all that sending them needs."""

from __future__ import annotations

from sqlalchemy import and_, select

from tidings.features.chat.models import (
    Chatbot,
    ChatChannel,
    ChatMessage,
    Conversation,
    WhatsAppCloudAccount,
    WhatsAppQrSession,
)

_ROW, _CONVERSATION = ChatMessage.__table__.c, Conversation.__table__.c
_CHATBOT = Chatbot.__table__.c
_CLOUD, _SESSION = WhatsAppCloudAccount.__table__.c, WhatsAppQrSession.__table__.c

LOADED = (
    select(
        *(
            _ROW[name]
            for name in (
                *("id", "conversation_id", "role", "content", "author", "turn", "scheduled_time", "attempts"),
                *("metadata", "delivery_status", "created_at"),
            )
        ),
        *(
            _CONVERSATION[name]
            for name in ("chatbot_id", "channel", "external_user_id", "via", "taken_over_at", "last_user_message_at")
        ),
        *(_CHATBOT[name] for name in ("customer_id", "whatsapp_template")),
        _CLOUD.access_token,
        _SESSION.session_id,
    )
    .join(_CONVERSATION.id.table, _CONVERSATION.id == _ROW.conversation_id)
    .join(_CHATBOT.id.table, _CHATBOT.id == _CONVERSATION.chatbot_id)
    .outerjoin(
        _CLOUD.id.table,
        and_(
            _CONVERSATION.channel == ChatChannel.WHATSAPP_CLOUD,
            _CLOUD.phone_number_id == _CONVERSATION.via,
            _CLOUD.chatbot_id == _CONVERSATION.chatbot_id,
        ),
    )
    .outerjoin(
        _SESSION.id.table,
        and_(
            _CONVERSATION.channel == ChatChannel.WHATSAPP_QR,
            _SESSION.session_id == _CONVERSATION.via,
            _SESSION.chatbot_id == _CONVERSATION.chatbot_id,
        ),
    )
)
"""Messages with their conversation, chatbot and WhatsApp account."""
