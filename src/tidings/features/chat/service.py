"""Chats for other programs: `t.chat` of the facade, and what the HTTP routes call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidings.customer_webhooks.service import CustomerWebhooks
from tidings.engine.broadcast import Broadcast
from tidings.engine.queues import QueueStats
from tidings.features.chat.accounts.service import ChatAccounts
from tidings.features.chat.conversations.schemas import IncomingMessageIn
from tidings.features.chat.conversations.service import Conversations
from tidings.features.chat.conversations.store import Stored, store_message
from tidings.features.chat.jobs import QUEUES
from tidings.features.chat.knowledge.retrieval import Retrieval
from tidings.features.chat.knowledge.service import Knowledge
from tidings.features.chat.whatsapp.callbacks import WhatsApp
from tidings.features.chat.widget.service import Widget
from tidings.messages.gate.opt_outs import Reach
from tidings.messages.inbound.reports import DeliveryReports
from tidings.vault import Vault
from tidings.work import Work


class Chat:
    """The chats by their subjects, and the three functions that the specification names.

    `accounts` are plans, customers, chatbots and their WhatsApp accounts; `knowledge` is what chatbots know;
    `conversations` are read, taken over and written to by people; `whatsapp` and `widget` are what those two sides
    tell and ask; `webhooks` are the endpoints of customers and their events. Every verb changes rows and queues
    together, and takes its input as models or as mappings. `reach` is whom an opt-out concerns; `allow_private` lets
    webhooks go to private addresses.
    """

    def __init__(
        self,
        work: Work,
        vault: Vault,
        retrieval: Retrieval,
        broadcast: Broadcast,
        reports: DeliveryReports,
        reach: Reach,
        *,
        allow_private: bool,
    ) -> None:
        self._work = work
        self.accounts = ChatAccounts(work, vault)
        self.knowledge = Knowledge(work, retrieval)
        self.conversations = Conversations(work, vault)
        self.whatsapp = WhatsApp(work, vault, reports, reach)
        self.widget = Widget(work, broadcast, reports)
        self.webhooks = CustomerWebhooks(work, vault, allow_private=allow_private)

    async def enqueue_incoming_message(self, message: IncomingMessageIn | Mapping[str, Any]) -> Stored:
        """Stores a user's message and has the queue incoming-messages take it in.

        Raises InvalidInput, and NotFound for a chatbot that there is not.
        """
        return await store_message(self._work, message)

    async def enqueue_webhook_delivery(
        self, customer_id: int, event: str, payload: Mapping[str, Any] | None = None
    ) -> list[int]:
        """Tells a customer's endpoints of an event of another program's; returns the ids of what was recorded.

        Raises NotFound and InvalidInput.
        """
        return await self.webhooks.enqueue(customer_id, event, payload)

    async def get_queue_stats(self) -> Mapping[str, QueueStats]:
        """The counts of each of the six queues: waiting, active, completed, failed, delayed.

        Raises QueueUnavailable.
        """
        return {queue.name: await self._work.queues.stats(queue.name) for queue in QUEUES}
