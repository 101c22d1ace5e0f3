"""The verbs of the chats. Each changes rows and queues together, in one unit of work."""

from __future__ import annotations

from collections.abc import Mapping

from tidings.customer_webhooks.service import CustomerWebhooks
from tidings.engine.broadcast import Broadcast
from tidings.engine.queues import QueueStats
from tidings.features.chat.accounts.service import Accounts
from tidings.features.chat.answering.knowledge import Knowledge
from tidings.features.chat.answering.retrieval import Retrieval
from tidings.features.chat.conversations.incoming import Incoming, ReceiveReply
from tidings.features.chat.conversations.service import Conversations
from tidings.features.chat.jobs import QUEUES
from tidings.features.chat.whatsapp.callbacks import WhatsApp
from tidings.features.chat.widget.service import Widgets
from tidings.messages.inbound.notices import NoticeTexts
from tidings.vault import Vault
from tidings.work import Work


class Chat(Accounts, Knowledge, Conversations, Incoming, WhatsApp, CustomerWebhooks, Widgets):
    """Chats for other programs: `t.chat` of the facade, and what the HTTP routes call.

    Input may be given as models or as mappings. `receive_reply` is the house's door in, which carries out STOP, START
    and HELP; `texts` are the answers to them. `allow_private` lets customers' webhooks go to private addresses.
    """

    def __init__(
        self,
        work: Work,
        vault: Vault,
        retrieval: Retrieval,
        broadcast: Broadcast,
        *,
        receive_reply: ReceiveReply,
        texts: NoticeTexts,
        allow_private: bool = False,
    ) -> None:
        self._work = work
        self._vault = vault
        self._retrieval = retrieval
        self._broadcast = broadcast
        self._receive_reply = receive_reply
        self._texts = texts
        self._allow_private = allow_private

    async def get_queue_stats(self) -> Mapping[str, QueueStats]:
        """The counts of each of the six queues: waiting, active, completed, failed, delayed.

        Raises QueueUnavailable.
        """
        return {queue.name: await self._work.queues.stats(queue.name) for queue in QUEUES}
