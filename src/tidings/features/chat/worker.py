"""What the jobs of the chats do, queue by queue."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update

from tidings.engine.jobs import Handler, Run
from tidings.features.chat.answering.answers import Answering
from tidings.features.chat.conversations.order import alarm
from tidings.features.chat.conversations.upkeep import Upkeep
from tidings.features.chat.jobs import (
    AI_ANSWER,
    CLOUD_SEND,
    DELIVERY_REPORT,
    EMBED_ITEM,
    INCOMING_MESSAGE,
    OUTGOING_MESSAGE,
    OUTGOING_MESSAGES,
    QR_SEND,
    UPKEEP,
    WHATSAPP_CLOUD_SEND,
    WHATSAPP_QR_SEND,
    OutgoingMessageJob,
    WhatsAppCloudSendJob,
    WhatsAppQRSendJob,
)
from tidings.features.chat.models import ChatChannel, Conversation, Message
from tidings.features.chat.service import Chat
from tidings.messages.delivery.pipeline import Road
from tidings.messages.statuses import OPEN
from tidings.work import Work

ROUTES = {
    ChatChannel.WHATSAPP_CLOUD: WHATSAPP_CLOUD_SEND.name,
    ChatChannel.WHATSAPP_QR: WHATSAPP_QR_SEND.name,
}
"""The queue in which messages of a channel are sent; the widget's leave from outgoing-messages itself."""


class ChatWorker:
    """Handlers of the five queues of messages."""

    def __init__(self, chat: Chat, answering: Answering, upkeep: Upkeep, road: Road, work: Work) -> None:
        self._chat = chat
        self._answering = answering
        self._upkeep = upkeep
        self._road = road
        self._work = work

    async def route(self, data: OutgoingMessageJob, run: Run) -> str:
        """Passes a message on to its channel's queue; to a widget it leaves at once."""
        async with self._work.read() as session:
            row = await session.get(Message, data.id)
            conversation = await session.get(Conversation, row.conversation_id) if row else None
        if row is None or conversation is None:
            return "there is no such message"
        queue = ROUTES.get(ChatChannel(conversation.channel))
        if queue is None:
            return await self._road.deliver(data.id, run)
        async with self._work.begin() as unit:
            moved = await unit.session.execute(
                update(Message)
                .where(Message.id == row.id, Message.status.in_(OPEN), Message.queue == OUTGOING_MESSAGES.name)
                .values(queue=queue, updated_at=self._work.clock.now())
                .returning(Message.id, Message.queue, Message.scheduled_time, Message.held_until)
                .execution_options(synchronize_session=False)
            )
            found = moved.one_or_none()
            if found is None:
                return f"nothing to route: it is {row.status}"
            unit.arm(alarm(found))
        return f"routed to {queue}"

    async def send(self, data: WhatsAppCloudSendJob | WhatsAppQRSendJob, run: Run) -> str:
        """Brings one message out."""
        return await self._road.deliver(data.id, run)

    def handlers(self) -> tuple[Handler[Any], ...]:
        """What is done with each kind of job."""
        return (
            Handler(INCOMING_MESSAGE, self._chat.take_in),
            Handler(DELIVERY_REPORT, self._chat.take_late_report),
            Handler(UPKEEP, self._upkeep.run),
            Handler(AI_ANSWER, self._answering.answer),
            Handler(EMBED_ITEM, self._chat.embed_item),
            Handler(OUTGOING_MESSAGE, self.route),
            Handler(CLOUD_SEND, self.send),
            Handler(QR_SEND, self.send),
        )
