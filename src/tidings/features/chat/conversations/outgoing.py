"""What the queue outgoing-messages does: messages go on to the queue of their channel, or to the widget at once."""

from __future__ import annotations

from sqlalchemy import update

from tidings.engine.jobs import Run
from tidings.features.chat.jobs import OUTGOING_MESSAGES, WHATSAPP_CLOUD_SEND, WHATSAPP_QR_SEND
from tidings.features.chat.kind import ChatMessages
from tidings.features.chat.models import ChatChannel, ChatMessage, Conversation
from tidings.messages.delivery.pipeline import DeliveryPipeline
from tidings.messages.kind import MessageJob
from tidings.messages.statuses import OPEN
from tidings.work import Work

ROUTES = {
    ChatChannel.WHATSAPP_CLOUD: WHATSAPP_CLOUD_SEND.name,
    ChatChannel.WHATSAPP_QR: WHATSAPP_QR_SEND.name,
}
"""The queue in which messages of a channel are sent; the widget's leave from outgoing-messages itself."""


class OutgoingMessages:
    """Routes messages to users by their channel; `pipeline` is the chats' own."""

    def __init__(self, work: Work, pipeline: DeliveryPipeline) -> None:
        self._work = work
        self._pipeline = pipeline

    async def route(self, data: MessageJob, run: Run) -> str:
        """Passes a message on to its channel's queue; to a widget it leaves at once."""
        async with self._work.read() as session:
            row = await session.get(ChatMessage, data.id)
            conversation = await session.get(Conversation, row.conversation_id) if row else None
        if row is None or conversation is None:
            return "there is no such message"
        queue = ROUTES.get(ChatChannel(conversation.channel))
        if queue is None:
            return await self._pipeline.deliver(data.id, run)
        async with self._work.begin() as unit:
            moved = await unit.session.execute(
                update(ChatMessage)
                .where(
                    ChatMessage.id == row.id,
                    ChatMessage.status.in_(OPEN),
                    ChatMessage.queue == OUTGOING_MESSAGES.name,
                )
                .values(queue=queue, updated_at=self._work.clock.now())
                .returning(ChatMessage.id, ChatMessage.queue, ChatMessage.scheduled_time, ChatMessage.held_until)
                .execution_options(synchronize_session=False)
            )
            found = moved.one_or_none()
            if found is None:
                return f"nothing to route: it is {row.status}"
            unit.arm(ChatMessages.job(found))
        return f"routed to {queue}"
