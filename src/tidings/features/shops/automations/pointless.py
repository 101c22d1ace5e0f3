"""What waits and has lost its point: its order was cancelled, its parcel called back, its goods returned.

It is looked at when such an event is worked on, when a message is planned, and once more when its turn comes: events
arrive in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.features.shops.automations.models import ShopAutomation
from tidings.features.shops.kind import ShopMessages
from tidings.features.shops.models import Shop, ShopMessage, ShopOrder
from tidings.features.shops.rules import reading
from tidings.features.shops.rules.contexts import EventContext
from tidings.features.shops.rules.refunds import without_returned
from tidings.messages.changes import cancel_where
from tidings.messages.statuses import Reason, Status
from tidings.work import Unit

_PAID_BACK = ("refunded", "partially_refunded", "voided")


def standing_order(context: EventContext) -> str | None:
    """The order that has to stand for a message about this event to make sense; None when it tells of its end."""
    order = context.order
    tells_the_end = order is not None and (order.cancelled_at is not None or order.financial_status in _PAID_BACK)
    if order is None or tells_the_end or context.topic == "orders/cancelled" or context.refund is not None:
        return None
    return order.id


def left_of(order: ShopOrder | None, facts: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The facts of an event without what was returned of its order; None when nothing is left."""
    if order is None or not order.refunds or not isinstance(facts.get("order"), Mapping):
        return facts
    left = without_returned(facts["order"], order.refunds, reading.amount(order.total))
    return None if left is None else {**facts, "order": left}


async def call_off_pointless(
    unit: Unit, shop: Shop, context: EventContext, order: ShopOrder | None, now: datetime
) -> int:
    """Cancels what an event has made pointless; returns how many messages that were."""
    if context.topic == "checkouts/delete":
        return await _call_off_about(unit, shop, "checkouts/", context.object_id, Reason.CHECKOUT_DELETED, now)
    if context.fulfillment is not None and context.fulfillment.is_called_back:
        return await _call_off_about(unit, shop, "fulfillments/create", context.object_id, Reason.CALLED_BACK, now)
    if order is None:
        return 0
    theirs = (ShopMessage.shop_id == shop.id) & (ShopMessage.order_key == order.order_key)
    if order.cancelled_at is not None:
        return await cancel_where(unit, ShopMessages, theirs, Reason.ORDER_CANCELLED, now)
    if not order.refunds or context.fulfillment is not None:
        return 0
    returned = await _returned(unit.session, theirs, order)
    return (
        await cancel_where(unit, ShopMessages, ShopMessage.id.in_(returned), Reason.RETURNED, now) if returned else 0
    )


async def _returned(session: AsyncSession, theirs: ColumnElement[bool], order: ShopOrder) -> list[int]:
    waiting = select(ShopMessage.id, ShopMessage.context).where(theirs, ShopMessage.status == Status.SCHEDULED)
    rows = (await session.execute(waiting)).all()
    return [row.id for row in rows if left_of(order, row.context or {}) is None]


async def _call_off_about(
    unit: Unit, shop: Shop, trigger: str, object_id: str | None, reason: Reason, now: datetime
) -> int:
    """Cancels what automations of a trigger have waiting about one object."""
    if object_id is None:
        return 0
    mine = (ShopAutomation.shop_id == shop.id, ShopAutomation.trigger.startswith(trigger))
    ids = await unit.session.scalars(select(ShopAutomation.id).where(*mine))
    keys = [about(automation_id, object_id) for automation_id in ids]
    if not keys:
        return 0
    which = (ShopMessage.shop_id == shop.id) & ShopMessage.deduplication_key.in_(keys)
    return await cancel_where(unit, ShopMessages, which, reason, now)


def about(automation_id: int, object_id: str) -> str:
    """The key of an automation's message about one order, checkout, parcel, refund or customer."""
    return f"automation:{automation_id}:{object_id}"[:300]
