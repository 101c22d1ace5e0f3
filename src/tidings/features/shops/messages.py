"""The messages of automations and campaigns as they are read."""

from __future__ import annotations

from collections.abc import Sequence

from tidings.features.shops.lookup import find_one, find_page
from tidings.features.shops.models import ShopMessage
from tidings.messages.statuses import Status
from tidings.work import Work


class Messages:
    """Messages of shops, by `domain`. An unknown shop is NotFound."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def get(self, domain: str, message_id: int) -> ShopMessage:
        """One message. Raises NotFound."""
        async with self._work.read() as session:
            return await find_one(session, ShopMessage, "message", domain, message_id)

    async def list(
        self,
        domain: str,
        *,
        status: Status | None = None,
        automation_id: int | None = None,
        campaign_id: int | None = None,
        customer_id: int | None = None,
        after_id: int = 0,
        limit: int = 100,
    ) -> Sequence[ShopMessage]:
        """Messages in order of id."""
        wanted = (
            (ShopMessage.status, status),
            (ShopMessage.automation_id, automation_id),
            (ShopMessage.campaign_id, campaign_id),
            (ShopMessage.customer_id, customer_id),
        )
        conditions = [column == value for column, value in wanted if value is not None]
        async with self._work.read() as session:
            return await find_page(session, ShopMessage, domain, after_id, limit, *conditions)
