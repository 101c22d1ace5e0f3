"""The door in: what comes back about messages, from whatever provider."""

from __future__ import annotations

from tidings.messages.inbound.notices import NoticeTexts
from tidings.messages.inbound.replies import IncomingReply, Received, Replies
from tidings.messages.inbound.reports import DeliveryReports, StatusUpdate
from tidings.messages.kind import Kinds
from tidings.work import Work


class Inbound:
    """Replies and delivery reports about messages of `kinds`. `region` is where numbers without + are read."""

    def __init__(self, work: Work, kinds: Kinds, texts: NoticeTexts, *, region: str) -> None:
        self.replies = Replies(work, kinds, texts, region=region)
        self.reports = DeliveryReports(work, kinds)

    async def receive_reply(self, reply: IncomingReply) -> Received:
        """Takes in what somebody answered; see `Replies.receive`."""
        return await self.replies.receive(reply)

    async def receive_status(self, update: StatusUpdate) -> bool:
        """Takes in a delivery report; see `Reports.receive`."""
        return await self.reports.receive(update)
