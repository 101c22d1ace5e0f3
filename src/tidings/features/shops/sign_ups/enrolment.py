"""Who consents to a shop's messages by an address is one of its customers, or its campaigns would pass them by."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.features.shops.models import ShopCustomer
from tidings.messages.contacts.consents.consents import Newcomer, contacts_of
from tidings.messages.contacts.numbers.countries import country_of


async def enrol(session: AsyncSession, shop_id: int, people: Mapping[str, Newcomer], now: datetime) -> None:
    """Makes whoever has one of the numbers a customer of the shop, as a guest, unless somebody there has it.

    Mail addresses make nobody a customer: shops write text messages. Raises IntegrityError at a flush when an event
    adds the same customer right now; then try again.
    """
    by_phone = {address: one for address, one in people.items() if "@" not in address}
    if not by_phone:
        return
    contacts = await contacts_of(session, list(by_phone.values()), now)
    keys = {f"phone:{phone}": phone for phone in by_phone}
    theirs = or_(ShopCustomer.phone.in_(sorted(by_phone)), ShopCustomer.customer_key.in_(sorted(keys)))
    rows = (
        await session.scalars(
            select(ShopCustomer)
            .where(ShopCustomer.shop_id == shop_id, theirs)
            .order_by(ShopCustomer.id)
            .with_for_update(key_share=True)
        )
    ).all()
    taken, known = {row.customer_key for row in rows}, {row.phone for row in rows}
    for row in rows:
        if row.phone in contacts and row.contractor_id is None:
            row.contractor_id, row.updated_at = contacts[row.phone][0], now
    for key, phone in keys.items():
        if phone in known:
            continue
        person, country = by_phone[phone], country_of(phone)
        session.add(
            ShopCustomer(
                shop_id=shop_id,
                contractor_id=contacts[phone][0],
                # A guest may have changed their number and kept the key of the one before.
                customer_key=f"{key}:{int(now.timestamp())}" if key in taken else key,
                first_name=person.first_name,
                last_name=person.last_name,
                phone=phone,
                country=country if len(country) == 2 else None,
                tags=[],
                former_contacts=[],
                as_of=now,
                created_at=now,
                updated_at=now,
            )
        )
    await session.flush()
