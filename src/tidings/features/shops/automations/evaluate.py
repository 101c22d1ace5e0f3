"""Asking a shop's automations about an event: who gets a message, at what time, and why others do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import Clock, to_milliseconds
from tidings.features.shops.automations.facts import facts_of
from tidings.features.shops.automations.goals import is_reached
from tidings.features.shops.automations.models import ShopAutomation
from tidings.features.shops.automations.pointless import about, left_of, standing_order
from tidings.features.shops.automations.tracking import (
    CHANGES,
    PARCELS,
    has_told,
    is_asked_again,
    is_fresh,
    key_of,
    only_news,
)
from tidings.features.shops.customers.orders import order_of
from tidings.features.shops.customers.parcels import is_called_back, new_tracking
from tidings.features.shops.events.store import moment_of, shop_of
from tidings.features.shops.kind import ShopMessages
from tidings.features.shops.models import Shop, ShopCustomer, ShopMessage, ShopOrder, ShopWebhookEvent
from tidings.features.shops.rules.contexts import EventContext, normalize_event_context
from tidings.features.shops.rules.predicates import compile_predicate
from tidings.features.shops.rules.stored import to_json
from tidings.features.shops.rules.variables import FIELDS
from tidings.log import get_logger
from tidings.messages.changes import cancel_where
from tidings.messages.gate.terms import Purpose
from tidings.messages.statuses import Reason, Status
from tidings.work import Unit, Work

log = get_logger(__name__)

USEFUL = {Purpose.TRANSACTIONAL: timedelta(days=1), Purpose.PROMOTIONAL: timedelta(days=3)}
"""How long after its time an automation's message is still worth sending."""

LATE = timedelta(days=2)
"""How late Shopify may tell something; it tries again for some hours. What is told later was brought over."""


async def evaluate_event(work: Work, row_id: int) -> dict[str, Any]:
    """Asks the automations about a stored event once; returns what each of them made of it, by its key.

    This is the second half of an event's way. Every automation's answer is kept with the event.
    """
    # Another event about the same object may be asked about at the same moment.
    return await work.retry(partial(_evaluate, row_id, work.clock))


async def _evaluate(row_id: int, clock: Clock, unit: Unit) -> dict[str, Any]:
    now = clock.now()
    session = unit.session
    event = await session.get(ShopWebhookEvent, row_id, with_for_update=True)
    if event is None or event.evaluated_at is not None:
        return dict(event.evaluation) if event else {}
    shop = await shop_of(session, event)
    answers: dict[str, Any] = {}
    if event.raw is not None and shop.uninstalled_at is None:
        context = normalize_event_context(event.topic, event.raw, shop.domain)
        order = await order_of(session, shop.id, context)
        customer = await _customer_of(session, event)
        for automation in await _asked(session, shop, event.topic):
            question = _Question(unit, shop, event, context, order, customer, automation)
            answers[automation.key] = await question.ask(now)
    event.evaluation, event.evaluated_at, event.error = answers, now, None
    for key, answer in answers.items():
        log.info("automation asked", shop=shop.domain, automation=key, result=answer["result"])
    return answers


class _Question:
    """One automation and one event."""

    def __init__(
        self,
        unit: Unit,
        shop: Shop,
        event: ShopWebhookEvent,
        context: EventContext,
        order: ShopOrder | None,
        customer: ShopCustomer | None,
        automation: ShopAutomation,
    ) -> None:
        self._unit = unit
        self._shop = shop
        self._event = event
        self._context = context
        self._order = order
        self._customer = customer
        self._automation = automation
        self._key = about(automation.id, event.object_id or event.event_id)
        self._is_change = is_asked_again(automation, event.topic)

    async def ask(self, now: datetime) -> dict[str, Any]:
        """What becomes of it, as it is kept with the event."""
        automation = self._automation
        if pointless := self._pointless():
            return {"result": pointless.value, "why": [pointless.sentence]}
        left = left_of(self._order_that_stands, facts_of(self._context, self._shop, self._customer, self._order))
        if left is None:
            return {"result": Reason.RETURNED.value, "why": [Reason.RETURNED.sentence]}
        facts, news = dict(left), self._new_tracking()
        if self._is_change and not news:
            return {"result": "nothing_new"}
        if automation.rules is not None:
            predicate = compile_predicate(automation.rules, FIELDS[automation.trigger], at="rules")
            if not predicate.matches({**facts, "now": now}):
                called_off = await self._call_off(now) if automation.restart else 0
                why = predicate.explain({**facts, "now": now})
                return {"result": "rules_not_met", "why": why, **({"called_off": called_off} if called_off else {})}
        phone = self._customer.phone if self._customer else None
        if phone is None:
            return {"result": "no_phone", "why": self._event.missing}
        at = moment_of(self._event, self._context)
        if automation.purpose == Purpose.TRANSACTIONAL and self._event.received_at - at > LATE:
            return {"result": "too_old", "why": [f"it happened on {at:%d %b %Y}, long before the shop told of it"]}
        if automation.goal_topic and await self._has_happened(automation.goal_topic, at):
            return {"result": "goal_reached", "why": [f"{automation.goal_topic} came first"]}
        due = to_milliseconds(now + timedelta(seconds=automation.delay_seconds))
        values = {
            "deduplication_key": self._key,
            "purpose": automation.purpose,
            "recipient": phone,
            "contractor_id": self._customer.contractor_id if self._customer else None,
            "template": automation.template,
            "context": to_json(facts),
            "order_key": standing_order(self._context),
            "triggered_at": at,
            "goal_topic": automation.goal_topic,
            "goal_key": self._context.purchase.checkout_token if self._context.purchase else None,
            "request_id": self._event.request_id,
            "scheduled_time": due,
            "not_after": due + USEFUL[Purpose(automation.purpose)],
            "status": Status.SCHEDULED,
            "status_reason": Reason.TRIGGERED,
            "held_until": None,
            "updated_at": now,
        }
        earlier = await self._earlier()
        if self._is_change:
            answer = await self._tracked(earlier, facts, news, values)
            if answer is not None:
                return answer
        elif earlier is not None:
            return await self._again(earlier, values)
        row = ShopMessage(
            shop_id=self._shop.id,
            customer_id=self._event.customer_id,
            automation_id=automation.id,
            created_at=now,
            **values,
        )
        self._unit.session.add(row)
        await self._unit.session.flush()
        self._unit.arm(ShopMessages.job(row))
        return {"result": "scheduled", "message": row.id, "at": due.isoformat()}

    @property
    def _order_that_stands(self) -> ShopOrder | None:
        return self._order if standing_order(self._context) else None

    def _pointless(self) -> Reason | None:
        """What an event that came earlier, and is newer, has made of this one."""
        order = self._order_that_stands
        if order is not None and order.cancelled_at is not None:
            return Reason.ORDER_CANCELLED
        parcel = self._context.fulfillment
        if self._automation.trigger != PARCELS or parcel is None or parcel.is_called_back:
            return None
        return Reason.CALLED_BACK if is_called_back(order.parcels if order else None, parcel) else None

    def _new_tracking(self) -> Sequence[str]:
        kept = self._order.parcels if self._order else None
        return new_tracking(kept, self._context.fulfillment, self._event.id)

    async def _tracked(
        self, earlier: ShopMessage | None, facts: dict[str, Any], news: Sequence[str], values: dict[str, Any]
    ) -> dict[str, Any] | None:
        """What becomes of new tracking; None when `values`, as changed here, are to be a message of their own."""
        parcel = self._context.fulfillment
        if earlier is None:
            is_told = parcel is not None and is_fresh(parcel, self._event)
            return None if is_told else {"result": "parcel_is_old"}
        if earlier.status == Status.CANCELLED or has_told(earlier, news):
            return {"result": "had_already", "message": earlier.id}
        if earlier.status == Status.SCHEDULED and earlier.attempts == 0:
            earlier.context, earlier.updated_at = values["context"], values["updated_at"]
            await self._unit.session.flush()
            return {"result": "told_with_it", "message": earlier.id}
        values["deduplication_key"] = key_of(self._key, news)
        values["context"] = to_json(only_news(facts, news))
        query = select(ShopMessage.id).where(
            ShopMessage.shop_id == self._shop.id, ShopMessage.deduplication_key == values["deduplication_key"]
        )
        known = await self._unit.session.scalar(query)
        return None if known is None else {"result": "had_already", "message": known}

    async def _has_happened(self, topic: str, at: datetime) -> bool:
        purchase = self._context.purchase
        return await is_reached(
            self._unit.session,
            shop_id=self._shop.id,
            topic=topic,
            token=purchase.checkout_token if purchase else None,
            customer_id=self._event.customer_id,
            since=at,
        )

    async def _earlier(self) -> ShopMessage | None:
        """The message about the same object; else, where another event restarts it, the customer's waiting one."""
        mine = select(ShopMessage).where(ShopMessage.shop_id == self._shop.id).with_for_update()
        found = await self._unit.session.scalar(mine.where(ShopMessage.deduplication_key == self._key))
        if found is not None or not self._automation.restart or self._event.customer_id is None:
            return found
        waiting = mine.where(
            ShopMessage.automation_id == self._automation.id,
            ShopMessage.customer_id == self._event.customer_id,
            ShopMessage.status == Status.SCHEDULED,
        )
        return await self._unit.session.scalar(waiting.order_by(ShopMessage.id).limit(1))

    async def _again(self, row: ShopMessage, values: Mapping[str, Any]) -> dict[str, Any]:
        """Another event for a message that there is: it moves one that waits, where the automation says so."""
        may_move = row.status == Status.SCHEDULED or (
            row.status == Status.CANCELLED and row.status_reason == Reason.RULES_NOT_MET
        )
        if not self._automation.restart or not may_move:
            return {"result": "had_already", "message": row.id}
        if row.triggered_at is not None and values["triggered_at"] < row.triggered_at:
            return {"result": "newer_counted", "message": row.id}
        for name, value in values.items():
            setattr(row, name, value)
        await self._unit.session.flush()
        self._unit.arm(ShopMessages.job(row))
        return {"result": "put_off", "message": row.id, "at": values["scheduled_time"].isoformat()}

    async def _call_off(self, now: datetime) -> int:
        about = and_(ShopMessage.shop_id == self._shop.id, ShopMessage.deduplication_key == self._key)
        return await cancel_where(self._unit, ShopMessages, about, Reason.RULES_NOT_MET, now)


async def _customer_of(session: AsyncSession, event: ShopWebhookEvent) -> ShopCustomer | None:
    """The event's customer, locked: of two events about one person the second sees what the first has planned."""
    if event.customer_id is None:
        return None
    return await session.get(ShopCustomer, event.customer_id, with_for_update={"key_share": True})


async def _asked(session: AsyncSession, shop: Shop, topic: str) -> list[ShopAutomation]:
    triggers = (topic, PARCELS) if topic == CHANGES else (topic,)
    query = select(ShopAutomation).where(
        ShopAutomation.shop_id == shop.id, ShopAutomation.trigger.in_(triggers), ShopAutomation.active.is_(True)
    )
    found = await session.scalars(query.order_by(ShopAutomation.id))
    return [one for one in found if one.trigger == topic or is_asked_again(one, topic)]
