"""Storing an automation: every mistake in it is told now, and an inactive one calls off what waits."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from tidings.errors import InvalidInput, TemplateError
from tidings.features.shops.automations.goals import GOALS
from tidings.features.shops.automations.models import ShopAutomation
from tidings.features.shops.automations.schemas import AutomationIn
from tidings.features.shops.kind import ShopMessages
from tidings.features.shops.models import Shop, ShopMessage
from tidings.features.shops.rules.contexts import DELETIONS, TOPICS, topic_of
from tidings.features.shops.rules.predicates import compile_predicate
from tidings.features.shops.rules.presets import PRESETS
from tidings.features.shops.rules.variables import FIELDS, names_for
from tidings.features.shops.schemas import parse_key
from tidings.messages.changes import cancel_where
from tidings.messages.statuses import Reason
from tidings.messages.text.templates import Sandbox
from tidings.work import Unit

TRIGGERS = tuple(topic for topic in TOPICS if FIELDS[topic] and topic not in (
    "customers/delete", "customers/data_request", "customers/redact", *DELETIONS
))  # fmt: skip
"""The topics that may start an automation."""


async def save_automation(
    unit: Unit, shop: Shop, key: str, wanted: AutomationIn, templates: Sandbox, now: datetime
) -> ShopAutomation:
    """Stores a checked automation in the caller's unit of work. Raises InvalidInput."""
    key = parse_key(key)
    trigger, goal = topic_of(wanted.trigger), topic_of(wanted.goal_topic) if wanted.goal_topic else None
    _check(wanted, trigger, goal, templates)
    query = select(ShopAutomation).where(ShopAutomation.shop_id == shop.id, ShopAutomation.key == key)
    row = await unit.session.scalar(query.with_for_update(key_share=True))
    if row is None:
        row = ShopAutomation(shop_id=shop.id, key=key, version=0, created_at=now)
        unit.session.add(row)
    for name, value in wanted.model_dump().items():
        setattr(row, name, value)
    row.trigger, row.goal_topic, row.version, row.updated_at = trigger, goal, row.version + 1, now
    await unit.session.flush()
    if not row.active:
        await call_off(unit, row, now)
    return row


async def add_preset(unit: Unit, shop: Shop, key: str, templates: Sandbox, now: datetime) -> ShopAutomation:
    """Stores one of PRESETS in the caller's unit of work."""
    preset = PRESETS[key]
    wanted = AutomationIn(
        name=preset.key.replace("_", " ").capitalize(),
        trigger=preset.trigger,
        rules=dict(preset.rules),
        template=preset.template,
        delay_seconds=preset.delay_seconds,
        purpose=preset.purpose.value,
        goal_topic=preset.goal_topic,
        restart=preset.restarts,
    )
    return await save_automation(unit, shop, preset.key, wanted, templates, now)


def _check(wanted: AutomationIn, trigger: str, goal: str | None, templates: Sandbox) -> None:
    if trigger not in TRIGGERS:
        raise InvalidInput("trigger", f"{trigger[:80]!r} starts no automation; use one of {', '.join(TRIGGERS)}")
    if goal is not None and goal not in GOALS:
        raise InvalidInput("goal_topic", f"{goal[:80]!r} cannot be a goal; use one of {', '.join(GOALS)}")
    if goal == trigger:
        raise InvalidInput("goal_topic", "is the trigger itself, so nothing would ever be sent; leave it out")
    if wanted.rules is not None:
        compile_predicate(wanted.rules, FIELDS[trigger], at="rules")
    try:
        templates.check(wanted.template, names_for(trigger))
    except TemplateError as error:
        raise InvalidInput("template", str(error)) from error


async def call_off(unit: Unit, row: ShopAutomation, now: datetime) -> int:
    """Cancels what waits for an automation; returns how many messages that were."""
    return await cancel_where(unit, ShopMessages, ShopMessage.automation_id == row.id, Reason.AUTOMATION_STOPPED, now)
