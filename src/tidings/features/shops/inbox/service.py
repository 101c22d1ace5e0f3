"""What people told a shop, for the shop alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from tidings.errors import InvalidInput
from tidings.features.shops.lookup import find_customer, find_shop
from tidings.features.shops.models import Shop
from tidings.messages.inbound.stored import StoredReply
from tidings.messages.tenants import shop_tenant
from tidings.work import Work


@dataclass(frozen=True, slots=True)
class ShopReplies:
    """Some replies, the newest first; `before` is where the next page begins, None at the end."""

    rows: Sequence[StoredReply]
    before: int | None


class Inbox:
    """What people told a shop; `domain` is the shop's. An unknown shop is NotFound."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def replies(self, domain: str, *, before: int | None = None, limit: int = 100) -> ShopReplies:
        """Replies to the shop, and to nobody else."""
        async with self._work.read() as session:
            shop = await find_shop(session, domain)
            query = select(StoredReply).where(StoredReply.tenant == shop_tenant(shop.id))
            if before is not None:
                query = query.where(StoredReply.id < before)
            rows = (await session.scalars(query.order_by(StoredReply.id.desc()).limit(limit + 1))).all()
        return ShopReplies(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)

    async def address_of(self, domain: str, customer_id: int, channel: str) -> tuple[Shop, str]:
        """The shop, and where a customer is reached by a channel. Raises NotFound, and InvalidInput for nowhere."""
        async with self._work.read() as session:
            shop = await find_shop(session, domain)
            customer = await find_customer(session, shop, customer_id)
            address = customer.email if channel == "email" else customer.phone
        if address is None:
            what = "mail address" if channel == "email" else "phone number"
            raise InvalidInput("customer_id", f"has no {what}; name another channel or the address")
        return shop, address
