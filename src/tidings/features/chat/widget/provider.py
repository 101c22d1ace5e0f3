"""The channel of the web widget: tells every process that a message is there to be shown."""

from __future__ import annotations

from tidings.engine.broadcast import Broadcast
from tidings.errors import QueueUnavailable
from tidings.features.chat.models import ChatChannel
from tidings.log import get_logger
from tidings.providers.base import Outgoing, Receipt

log = get_logger(__name__)


def topic_of(chatbot_id: int, visitor: str) -> str:
    """Under which topic a visitor's open pages hear of new messages; the news is the message's id."""
    return f"widget:{chatbot_id}:{visitor}"


class WidgetProvider:
    """Publishes the message's id; whichever process holds a page of the visitor's reads the message and shows it.

    A visitor without an open page gets it when one opens: the database is the truth, and a missed push is made good.
    A page shows a message once, however often it is told of it.
    """

    name = ChatChannel.WIDGET.value
    drops_repetitions = True

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Publishes the id; that Redis does not answer is no failure of the message, which pages ask for later."""
        topic = topic_of(outgoing.metadata["chatbot_id"], outgoing.to)
        try:
            await self._broadcast.publish(topic, str(outgoing.metadata["message_id"]))
        except QueueUnavailable as error:
            log.warning("widget not told; its page will ask", error=str(error))
        return Receipt(self.name)

    async def close(self) -> None:
        """Nothing to release: whoever opened the broadcast closes it."""
