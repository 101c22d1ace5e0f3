"""The chats as the application sees them, with the webhooks to their customers' servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.customer_webhooks.external_jobs import webhook_handler
from tidings.customer_webhooks.jobs import WEBHOOK_DELIVERY
from tidings.customer_webhooks.kind import WebhookEvents
from tidings.customer_webhooks.stored import kept_events
from tidings.engine.jobs import BatchHandler, Handler, Schedule
from tidings.feature import Feature, Parts
from tidings.features.chat.answers.writer import AnswerWriter
from tidings.features.chat.conversations.incoming import IncomingMessages
from tidings.features.chat.conversations.kept import kept_conversations
from tidings.features.chat.conversations.outgoing import OutgoingMessages
from tidings.features.chat.conversations.upkeep import EVERY, Upkeep
from tidings.features.chat.jobs import (
    AI_ANSWER,
    CLOUD_SEND,
    DELIVERY_REPORT,
    EMBED_ITEM,
    INCOMING_MESSAGE,
    OUTGOING_MESSAGE,
    QR_SEND,
    UPKEEP,
    UpkeepJob,
)
from tidings.features.chat.kind import ChatMessages
from tidings.features.chat.knowledge.embeddings import ItemEmbedder
from tidings.features.chat.knowledge.retrieval import Retrieval
from tidings.features.chat.models import ChatChannel
from tidings.features.chat.service import Chat
from tidings.features.chat.settings import ChatSettings
from tidings.features.chat.whatsapp.late_reports import LateReports
from tidings.features.chat.widget.provider import WidgetProvider
from tidings.messages.retention import days
from tidings.providers.webhooks.send import WebhookSettings

if TYPE_CHECKING:
    from fastapi import APIRouter


def build(parts: Parts) -> Feature:
    """Puts the feature together."""
    work, vault, inbound = parts.work, parts.vault, parts.inbound
    retrieval = Retrieval(work, parts.model, parts.settings_of(ChatSettings).openai_embedding_model)
    parts.providers.add(ChatChannel.WIDGET, WidgetProvider(parts.broadcast))
    allow_private = parts.settings_of(WebhookSettings).webhooks_allow_private
    chat = Chat(work, vault, retrieval, parts.broadcast, inbound.reports, parts.reach, allow_private=allow_private)
    incoming = IncomingMessages(work, inbound.replies, parts.sender, writes=parts.model is not None)
    messages = parts.pipeline(ChatMessages(work.clock, vault, parts.reach))
    attempts = parts.policies[WEBHOOK_DELIVERY.name].attempts
    events = parts.pipeline(WebhookEvents(work.clock, vault, attempts=attempts))
    return Feature(
        name="chat",
        service=chat,
        parts=(chat.webhooks,),
        handlers=(
            Handler(INCOMING_MESSAGE, incoming.take_in),
            Handler(DELIVERY_REPORT, LateReports(work, inbound.reports).take),
            Handler(UPKEEP, Upkeep(work, retrieval).run),
            Handler(AI_ANSWER, AnswerWriter(work, retrieval, parts.model).answer),
            Handler(EMBED_ITEM, ItemEmbedder(work, retrieval).embed),
            Handler(OUTGOING_MESSAGE, OutgoingMessages(work, messages).route),
            BatchHandler(CLOUD_SEND, messages.handle),
            BatchHandler(QR_SEND, messages.handle),
            webhook_handler(work, events),
        ),
        schedules=(Schedule("chat-upkeep", UPKEEP, UpkeepJob(), EVERY),),
        keeps=(
            *kept_conversations(parts.settings_of(ChatSettings)),
            kept_events(days(parts.settings_of(ChatSettings).keep_webhook_events_days)),
        ),
        router=_router,
    )


def _router() -> APIRouter:
    from tidings.features.chat.routes import router  # workers do without it

    return router
