"""Test messages of campaigns and automations: stored, sent through the gate, and told what it says about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import func, select

from tidings.clock import to_milliseconds
from tidings.features.shops.campaigns.schemas import TestOut
from tidings.features.shops.kind import ShopMessages, price_table
from tidings.features.shops.models import Shop, ShopMessage
from tidings.features.shops.rules.stored import to_json
from tidings.features.shops.test_numbers.service import is_verified
from tidings.log import current_request_id
from tidings.messages.contacts.numbers.countries import country_of
from tidings.messages.gate.policy import Defer, Skip
from tidings.messages.gate.preview import preview_decisions
from tidings.messages.gate.rules import Rules
from tidings.messages.gate.terms import TRANSACTIONAL, Purpose
from tidings.messages.kind import Message
from tidings.messages.statuses import Status
from tidings.messages.text.segments import explain, measure
from tidings.messages.text.templates import Sandbox
from tidings.work import Unit

HINT = (
    "It goes to this number only as the real message would. To try texts on a phone of your own, verify it: "
    "POST /shops/<domain>/test-numbers sends it a code."
)


async def write_test(
    unit: Unit,
    templates: Sandbox,
    rules: Rules,
    shop: Shop,
    message: Message,
    *,
    customer_id: int | None,
    key: str,
    template: str,
    variables: Mapping[str, Any],
) -> TestOut:
    """Adds a test message that is due now, to the address of `message`, which has the terms of the real one.

    A verified test number gets it whatever these say, but not despite a STOP. `key` begins the deduplication keys of
    these tests, `rules` are the installation's. Raises TemplateError.
    """
    session, now = unit.session, message.scheduled_time
    text = templates.render(template, variables)
    verified = await is_verified(session, shop, message.address)
    if verified:
        message = replace(message, terms=TRANSACTIONAL)
    [decision] = await preview_decisions(session, [message], rules, now)
    of_these = (ShopMessage.shop_id == shop.id, ShopMessage.deduplication_key.startswith(key))
    number = await session.scalar(select(func.count()).where(*of_these))
    row = ShopMessage(
        shop_id=shop.id,
        customer_id=customer_id,
        contractor_id=message.contact_id,
        deduplication_key=f"{key}{(number or 0) + 1}",
        purpose=Purpose.TRANSACTIONAL if verified else Purpose.PROMOTIONAL,
        recipient=message.address,
        template=template,
        context=to_json(variables),
        request_id=current_request_id(),
        status=Status.SCHEDULED,
        attempts=0,
        scheduled_time=to_milliseconds(now),
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    await session.flush()
    unit.arm(ShopMessages.job(row))
    segments = measure(text)
    return TestOut(
        message=f"shop-message-{row.id}",
        text=text,
        segments=segments.segments,
        advice=explain(segments),
        price=str(price_table(vars(shop)).price(country_of(message.address or "")) * segments.segments),
        currency=shop.currency,
        decision=type(decision).__name__.lower(),
        reason=decision.reason if isinstance(decision, Defer | Skip) else None,
        until=decision.until if isinstance(decision, Defer) else None,
        hint=HINT if not verified and isinstance(decision, Skip | Defer) else None,
    )
