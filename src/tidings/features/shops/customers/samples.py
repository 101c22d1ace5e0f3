"""Many customers of a shop at once, as if its webhooks had told of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert

from tidings.features.shops.kind import CHANNEL
from tidings.features.shops.models import Shop, ShopCustomer
from tidings.messages.contacts.addresses import follow
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.gate.consents import Consent
from tidings.messages.tenants import shop_tenant
from tidings.work import Work

PAGE = 1000


@dataclass(frozen=True, slots=True)
class NewCustomer:
    """A customer to be. `consent` None: they have never been asked for it. `phone` is E.164 and nobody else's."""

    key: str
    first_name: str
    last_name: str
    phone: str
    consent: bool | None = True
    timezone: str | None = None
    country: str = "US"
    tags: Sequence[str] = ()
    orders_count: int = 0
    total_spent: str = "0"
    last_order_at: datetime | None = None


async def add_customers(work: Work, shop: Shop, people: Sequence[NewCustomer]) -> None:
    """Adds customers with their contacts and consents, a thousand in one transaction."""
    now = work.clock.now()
    times = {"created_at": now, "updated_at": now}
    for start in range(0, len(people), PAGE):
        page = people[start : start + PAGE]
        async with work.begin() as unit:
            contacts = (
                await unit.session.scalars(
                    insert(Contractor).returning(Contractor.id, sort_by_parameter_order=True),
                    [{"name": _name(one), "phone": one.phone, "timezone": one.timezone, **times} for one in page],
                )
            ).all()
            await follow(unit.session, contacts, source="import", now=now)
            await unit.session.execute(
                insert(ShopCustomer),
                [
                    {
                        "shop_id": shop.id,
                        "contractor_id": contact,
                        "customer_key": one.key,
                        "first_name": one.first_name,
                        "last_name": one.last_name,
                        "phone": one.phone,
                        "country": one.country,
                        "tags": list(one.tags),
                        "orders_count": one.orders_count,
                        "total_spent": one.total_spent,
                        "last_order_at": one.last_order_at,
                        "as_of": now,
                        **times,
                    }
                    for contact, one in zip(contacts, page, strict=True)
                ],
            )
            said = [
                {
                    "contact_id": contact,
                    "channel": CHANNEL,
                    "tenant": shop_tenant(shop.id),
                    "granted": one.consent,
                    "at": now,
                    "source": "import",
                }
                for contact, one in zip(contacts, page, strict=True)
                if one.consent is not None
            ]
            if said:
                await unit.session.execute(insert(Consent), said)


def _name(one: NewCustomer) -> str:
    return f"{one.first_name} {one.last_name}".strip()
