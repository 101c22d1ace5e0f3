"""The door in: what comes back about messages, from whatever provider."""

from __future__ import annotations

from collections.abc import Mapping

from tidings.messages.gate.opt_outs import Reach
from tidings.messages.inbound.replies import Replies
from tidings.messages.inbound.reply import IncomingReply, Received
from tidings.messages.inbound.reports import DeliveryReports, StatusUpdate
from tidings.messages.inbound.tenant_words import TenantKeywords
from tidings.messages.kind import Kinds
from tidings.messages.tenants import Sender
from tidings.work import Work


class Inbound:
    """Replies and delivery reports about messages of `kinds`; the other parameters are those of `Replies`."""

    def __init__(
        self,
        work: Work,
        kinds: Kinds,
        sender: Sender,
        *,
        region: str,
        reach: Reach,
        keywords: Mapping[str, TenantKeywords],
    ) -> None:
        self.replies = Replies(work, kinds, sender, region=region, reach=reach, keywords=keywords)
        self.reports = DeliveryReports(work, kinds)

    async def receive_reply(self, reply: IncomingReply) -> Received:
        """Takes in what somebody answered; see `Replies.receive`."""
        return await self.replies.receive(reply)

    async def receive_status(self, update: StatusUpdate) -> bool:
        """Takes in a delivery report; see `Reports.receive`."""
        return await self.reports.receive(update)
