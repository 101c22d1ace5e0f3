"""HTTP endpoints of the chats and of their customers' webhooks. Every one is a verb; times in answers are UTC."""

from __future__ import annotations

from typing import Annotated

from tidings.customer_webhooks.routes import router as customer_webhooks
from tidings.features.chat.accounts.routes import router as accounts
from tidings.features.chat.conversations.routes import router as conversations
from tidings.features.chat.conversations.schemas import CountsOut, IncomingMessageIn, StoredOut
from tidings.features.chat.knowledge.routes import router as knowledge
from tidings.features.chat.service import Chat
from tidings.features.chat.whatsapp.routes import router as whatsapp
from tidings.features.chat.widget.routes import router as widget
from tidings.web.routing import new_router, provided

Service = Annotated[Chat, provided(Chat)]

queues = new_router(tags=["chat conversations"])


@queues.post("/chat/messages", status_code=202)
async def enqueue_incoming_message(chat: Service, message: IncomingMessageIn) -> StoredOut:
    """Takes in what a user wrote; the answer follows by itself."""
    return StoredOut.model_validate(await chat.enqueue_incoming_message(message))


@queues.get("/chat/queues")
async def get_chat_queue_stats(chat: Service) -> dict[str, CountsOut]:
    """The jobs of each of the six queues."""
    return {name: CountsOut.model_validate(stats) for name, stats in (await chat.get_queue_stats()).items()}


router = new_router()
for part in (accounts, queues, conversations, knowledge, whatsapp, customer_webhooks, widget):
    router.include_router(part)
