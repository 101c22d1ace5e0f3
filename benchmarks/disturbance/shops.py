"""Shops that have been in business for a while: customers, what was told about them, and messages that left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.app import App
from tidings.features.shops.customers.samples import NewCustomer, add_customers
from tidings.features.shops.jobs import SHOP_MESSAGE
from tidings.features.shops.models import Shop, ShopCustomer, ShopMessage, ShopWebhookEvent
from tidings.messages.ledger import LedgerEntry

PORTION = 5000


async def open_shop(app: App, name: str, customers: int, messages: int, *, first_phone: int) -> Shop:
    """A shop with customers, an order of each, and messages to them that left in the last two days."""
    domain = f"{name}.example.com"
    shop, _ = await app.shops.accounts.create({"domain": domain, "name": name, "webhook_secret": "secret-of-it"})
    people = [
        NewCustomer(str(first_phone + number), f"Ada {number}", "Abara", phone_of(first_phone + number))
        for number in range(customers)
    ]
    await add_customers(app.work, shop, people)
    async with app.work.begin() as unit:
        rows = await unit.session.execute(
            select(ShopCustomer.id, ShopCustomer.contractor_id, ShopCustomer.customer_key, ShopCustomer.phone)
            .where(ShopCustomer.shop_id == shop.id)
            .order_by(ShopCustomer.id)
        )
        known = list(rows)
        await _add_orders(unit.session, app, shop, known)
    for start in range(0, messages, PORTION):
        async with app.work.begin() as unit:
            await _add_messages(unit.session, app, shop, known, range(start, min(start + PORTION, messages)))
    return shop


async def tell(app: App, shop: Shop, topic: str, raw: dict[str, Any]) -> int:
    """The row of something that a shop tells, without a job: whoever asked works on it."""
    async with app.work.begin() as unit:
        row = _event(app, shop, f"told-{topic}-{raw.get('id')}", topic, raw)
        return (await unit.session.execute(insert(ShopWebhookEvent).returning(ShopWebhookEvent.id), row)).scalar_one()


def phone_of(number: int) -> str:
    """A phone number of its own for each number."""
    return f"+1810{2_000_000 + number}"


async def _add_orders(session: AsyncSession, app: App, shop: Shop, customers: list[Any]) -> None:
    now = app.clock.now()
    await session.execute(
        insert(ShopWebhookEvent),
        [
            {**_event(app, shop, f"order-{one.id}", "orders/create", _order(one)), "processed_at": now}
            | {"customer_id": one.id}
            for one in customers
        ],
    )


def _event(app: App, shop: Shop, name: str, topic: str, raw: dict[str, Any]) -> dict[str, Any]:
    now = app.clock.now()
    moments = {"received_at": now, "evaluated_at": now}
    return {"shop_id": shop.id, "event_id": name, "topic": topic, "raw": raw, "request_id": "bench", **moments}


def _order(customer: Any) -> dict[str, Any]:
    person = {"id": int(customer.customer_key), "first_name": "Ada", "last_name": "Abara", "phone": customer.phone}
    return {
        "id": 9_000_000 + customer.id,
        "name": f"#{customer.id}",
        "created_at": "2026-11-24T10:00:00Z",
        "total_price": "49.90",
        "currency": "USD",
        "phone": customer.phone,
        "customer": person,
        "line_items": [{"title": "Peonies", "quantity": 1, "price": "49.90"} for _ in range(5)],
    }


async def _add_messages(session: AsyncSession, app: App, shop: Shop, customers: list[Any], numbers: range) -> None:
    now = app.clock.now()
    moments = [now - timedelta(hours=40) * number / max(numbers.stop, 1) for number in numbers]
    ids = await session.scalars(
        insert(ShopMessage).returning(ShopMessage.id, sort_by_parameter_order=True),
        [
            {
                "shop_id": shop.id,
                "customer_id": (one := customers[number % len(customers)]).id,
                "contractor_id": one.contractor_id,
                "deduplication_key": f"bench-{number}",
                "purpose": "transactional",
                "recipient": one.phone,
                "text": "Your order is on its way",
                "segments": 1,
                "price": "0.01",
                "status": "sent",
                "scheduled_time": moment,
                "sent_at": moment,
                "created_at": moment,
                "updated_at": moment,
            }
            for number, moment in zip(numbers, moments, strict=True)
        ],
    )
    await session.execute(
        insert(LedgerEntry),
        [
            {
                "at": moment,
                "kind": SHOP_MESSAGE,
                "message_id": row_id,
                "contact_id": customers[number % len(customers)].contractor_id,
                "outcome": "sent",
                "attempt": 1,
                "delivery_status": "DELIVERED",
                "delivery_status_at": moment,
            }
            for number, moment, row_id in zip(numbers, moments, ids, strict=True)
        ],
    )
