"""The chats as the application sees them, and how their parts are put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastapi import APIRouter

from tidings.ai.openai import OpenAIModel
from tidings.customer_webhooks.jobs import DELIVER_WEBHOOK, WEBHOOK_DELIVERY
from tidings.customer_webhooks.kind import WEBHOOK_CHANNEL, webhook_outbox
from tidings.customer_webhooks.provider import WebhookChannel
from tidings.customer_webhooks.routes import customer_webhooks_router
from tidings.customer_webhooks.worker import WebhookWorker
from tidings.engine.broadcast import Broadcast
from tidings.engine.jobs import Handler, Schedule
from tidings.engine.policy import QueuePolicy
from tidings.feature import Feature
from tidings.features.chat import jobs
from tidings.features.chat.answering.answers import Answering
from tidings.features.chat.answering.retrieval import Retrieval
from tidings.features.chat.conversations.incoming import ReceiveReply
from tidings.features.chat.conversations.upkeep import EVERY, Upkeep
from tidings.features.chat.jobs import OUTGOING_MESSAGES, UPKEEP, UpkeepJob
from tidings.features.chat.kind import chat_outbox
from tidings.features.chat.models import ChatChannel
from tidings.features.chat.routes import chat_router
from tidings.features.chat.service import Chat
from tidings.features.chat.whatsapp.channels import ChatChannels
from tidings.features.chat.widget.provider import WidgetChannel
from tidings.features.chat.widget.routes import widget_router
from tidings.features.chat.worker import ChatWorker
from tidings.messages.delivery.pipeline import Road
from tidings.messages.inbound.notices import NoticeTexts
from tidings.messages.kind import Outbox
from tidings.providers.base import Channel
from tidings.providers.webhooks.send import Webhooks
from tidings.providers.whatsapp_cloud.send import WhatsAppCloud
from tidings.providers.whatsapp_qr import WhatsAppQr
from tidings.vault import Vault
from tidings.work import Work

QUEUES: tuple[QueuePolicy, ...] = jobs.QUEUES

RoadOf = Callable[[Outbox, Mapping[str, Channel]], Road]
"""The road out for an outbox, through these channels."""


@dataclass(frozen=True)
class ChatParts:
    """What the chats use of the world; whoever opened a part closes it.

    Without a `model` answers are the best knowledge as it is; without an `embedding_model` it is found by its words.
    `allow_private` has webhooks go to private addresses, too.
    """

    vault: Vault
    cloud: WhatsAppCloud
    qr: WhatsAppQr | None
    webhooks: Webhooks
    broadcast: Broadcast
    model: OpenAIModel | None = None
    embedding_model: str | None = None
    allow_private: bool = False


def open_chat(
    work: Work,
    policies: Mapping[str, QueuePolicy],
    road_of: RoadOf,
    parts: ChatParts,
    *,
    receive_reply: ReceiveReply,
    texts: NoticeTexts,
    channels: Mapping[str, Channel] | None = None,
) -> tuple[Chat, Feature]:
    """The verbs and the feature. `policies` are the (configured) queues by name.

    `channels` take the place of whole channels by name, such as a rehearsal's simulator for `whatsapp_cloud`.
    """
    retrieval = Retrieval(work, parts.model, parts.embedding_model)
    chat = Chat(
        work,
        parts.vault,
        retrieval,
        parts.broadcast,
        receive_reply=receive_reply,
        texts=texts,
        allow_private=parts.allow_private,
    )
    house = {ChatChannel.WIDGET.value: WidgetChannel(parts.broadcast), **(channels or {})}
    ways = ChatChannels(house, work, parts.vault, parts.cloud, parts.qr)
    attempts = policies[WEBHOOK_DELIVERY.name].attempts
    webhook_channel = WebhookChannel(parts.webhooks, parts.vault, work, attempts=attempts)
    messages = road_of(chat_outbox(policies[OUTGOING_MESSAGES.name], work.clock), ways)
    events = road_of(webhook_outbox(policies[WEBHOOK_DELIVERY.name], work.clock), {WEBHOOK_CHANNEL: webhook_channel})
    worker = ChatWorker(chat, Answering(work, retrieval, parts.model), Upkeep(work, retrieval), messages, work)

    def router() -> APIRouter:
        whole = APIRouter()
        for part in (chat_router(chat), customer_webhooks_router(chat), widget_router(chat, chat)):
            whole.include_router(part)
        return whole

    feature = Feature(
        name="chat",
        queues=QUEUES,
        handlers=(*worker.handlers(), Handler(DELIVER_WEBHOOK, WebhookWorker(events).deliver)),
        outboxes=(messages.outbox, events.outbox),
        schedules=(Schedule("chat-upkeep", UPKEEP, UpkeepJob(), EVERY),),
        router=router,
    )
    return chat, feature
