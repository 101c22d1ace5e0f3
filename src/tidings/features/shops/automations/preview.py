"""What an automation would send, before it sends anything: to a real customer, with the facts of a real event."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import InvalidInput, NotFound, TemplateError
from tidings.features.shops.automations.facts import facts_of
from tidings.features.shops.automations.schemas import PreviewIn, PreviewOut
from tidings.features.shops.kind import price_table
from tidings.features.shops.lookup import find_automation, find_customer, find_shop
from tidings.features.shops.models import Shop, ShopCustomer, ShopOrder, ShopWebhookEvent
from tidings.features.shops.rules.contexts import EventContext, normalize_event_context
from tidings.features.shops.rules.predicates import compile_predicate
from tidings.features.shops.rules.variables import FIELDS, names_for
from tidings.messages.contacts.numbers.countries import country_of
from tidings.messages.text.segments import explain, measure
from tidings.messages.text.templates import Sandbox


async def preview(
    session: AsyncSession, templates: Sandbox, domain: str, key: str, asked: PreviewIn, now: datetime
) -> PreviewOut:
    """What `Automations.preview` says, read in the caller's session."""
    shop = await find_shop(session, domain)
    automation = await find_automation(session, shop, key)
    event, customer, order = await find_subject(session, shop, automation.trigger, asked)
    template = asked.template or automation.template
    try:
        templates.check(template, names_for(automation.trigger))
    except TemplateError as error:
        raise InvalidInput("template", str(error)) from error
    facts = facts_about(event, automation.trigger, shop, customer, order)
    holds, explanation = True, ["there are no rules, so every event counts"]
    if automation.rules is not None:
        predicate = compile_predicate(automation.rules, FIELDS[automation.trigger], at="rules")
        moment = {**facts, "now": now}
        holds, explanation = predicate.matches(moment), predicate.explain(moment)
    phone = customer.phone if customer else None
    text, problem = None, None
    try:
        text = templates.render(template, facts)
    except TemplateError as error:
        problem = str(error)
    measured = measure(text or "")
    price = price_table(_prices(shop)).price(country_of(phone or "")) * measured.segments
    return PreviewOut(
        text=text,
        error=problem,
        holds=holds,
        explanation=explanation,
        segments=measured.segments,
        size=explain(measured) if text else None,
        price=str(price),
        currency=shop.currency,
        recipient=phone,
        event_id=event.id if event else None,
    )


def facts_about(
    event: ShopWebhookEvent | None,
    trigger: str,
    shop: Shop,
    customer: ShopCustomer | None,
    order: ShopOrder | None = None,
) -> dict[str, Any]:
    """The variables of a stored event, or without one of what is known of a customer alone."""
    if event is not None and event.raw is not None:
        context = normalize_event_context(event.topic, event.raw, shop.domain)
    else:
        context = EventContext(trigger, shop.domain, None, None)
    return facts_of(context, shop, customer, order)


async def find_subject(
    session: AsyncSession, shop: Shop, trigger: str, asked: PreviewIn
) -> tuple[ShopWebhookEvent | None, ShopCustomer | None, ShopOrder | None]:
    """The stored event that is asked for, by default the latest of the trigger, its customer and its order.

    Raises NotFound.
    """
    mine = select(ShopWebhookEvent).where(
        ShopWebhookEvent.shop_id == shop.id, ShopWebhookEvent.topic == trigger, ShopWebhookEvent.raw.is_not(None)
    )
    customer = await find_customer(session, shop, asked.customer_id) if asked.customer_id is not None else None
    if asked.event_id is not None:
        event = await session.scalar(mine.where(ShopWebhookEvent.id == asked.event_id))
        if event is None:
            raise NotFound(f"event of {trigger}", asked.event_id)
    else:
        theirs = mine if customer is None else mine.where(ShopWebhookEvent.customer_id == customer.id)
        event = await session.scalar(theirs.order_by(ShopWebhookEvent.id.desc()).limit(1))
    if customer is None and event is not None and event.customer_id is not None:
        customer = await session.get(ShopCustomer, event.customer_id)
    order = None
    if event is not None and event.raw is not None:
        about = normalize_event_context(event.topic, event.raw, shop.domain).order
        its = (ShopOrder.shop_id == shop.id, ShopOrder.order_key == (about.id if about else None))
        order = await session.scalar(select(ShopOrder).where(*its))
    return event, customer, order


def _prices(shop: Shop) -> dict[str, Any]:
    return {"sms_prices": shop.sms_prices, "default_price": shop.default_price, "currency": shop.currency}
