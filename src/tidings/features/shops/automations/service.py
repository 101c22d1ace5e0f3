"""Automations: what is written to whom when something happens in a shop. Every mistake is told when one is saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import delete, select

from tidings.errors import InvalidInput, NotFound, TemplateError
from tidings.feature import parse
from tidings.features.shops.automations.goals import GOALS
from tidings.features.shops.cancellation import cancel_messages
from tidings.features.shops.lookup import find_automation, find_shop
from tidings.features.shops.models import Shop, ShopAutomation, ShopMessage
from tidings.features.shops.rules.contexts import TOPICS, topic_of
from tidings.features.shops.rules.predicates import compile_predicate
from tidings.features.shops.rules.presets import PRESETS
from tidings.features.shops.rules.variables import FIELDS, names_for
from tidings.features.shops.schemas import AutomationIn, Key
from tidings.messages.statuses import Reason
from tidings.messages.text.templates import Sandbox
from tidings.work import Unit, Work

TRIGGERS = tuple(topic for topic in TOPICS if FIELDS[topic] and topic not in (
    "customers/delete", "customers/data_request", "customers/redact"
))  # fmt: skip
"""The topics that may start an automation."""

_KEY = TypeAdapter(Key)


class Automations:
    """Part of `Shops`. `domain` is the shop's, `key` the automation's."""

    _work: Work
    _templates: Sandbox

    async def save_automation(
        self, domain: str, key: str, automation: AutomationIn | Mapping[str, Any]
    ) -> ShopAutomation:
        """Adds an automation, or replaces the one with its key; what waits already keeps its text and its time.

        An inactive one calls off what waits. Raises NotFound, and InvalidInput for rules, a template, a trigger or
        a goal that could not work.
        """
        wanted = parse(AutomationIn, automation)
        async with self._work.begin() as unit:
            shop = await find_shop(unit.session, domain)
            return await save(unit, shop, key, wanted, self._templates, self._work.clock.now())

    async def install_preset(self, domain: str, key: str) -> ShopAutomation:
        """Adds a ready automation under its own key, or puts that one back to what it was. Raises NotFound."""
        if key not in PRESETS:
            raise NotFound("preset", f"{key}; there are {', '.join(PRESETS)}")
        async with self._work.begin() as unit:
            shop = await find_shop(unit.session, domain)
            return await add_preset(unit, shop, key, self._templates, self._work.clock.now())

    async def install_presets(self, domain: str, keys: Iterable[str] = tuple(PRESETS)) -> list[ShopAutomation]:
        """Adds several ready automations, by default all. Raises NotFound."""
        return [await self.install_preset(domain, key) for key in keys]

    async def get_automation(self, domain: str, key: str) -> ShopAutomation:
        """One automation. Raises NotFound."""
        async with self._work.read() as session:
            return await find_automation(session, await find_shop(session, domain), key)

    async def list_automations(self, domain: str) -> Sequence[ShopAutomation]:
        """Every automation of a shop. Raises NotFound."""
        async with self._work.read() as session:
            shop = await find_shop(session, domain)
            query = select(ShopAutomation).where(ShopAutomation.shop_id == shop.id).order_by(ShopAutomation.id)
            return (await session.scalars(query)).all()

    async def activate_automation(self, domain: str, key: str) -> ShopAutomation:
        """Lets an automation write again. Raises NotFound."""
        return await self._switch(domain, key, active=True)

    async def deactivate_automation(self, domain: str, key: str) -> ShopAutomation:
        """Lets an automation write no more, and calls off what waits. Raises NotFound."""
        return await self._switch(domain, key, active=False)

    async def delete_automation(self, domain: str, key: str) -> int:
        """Deletes an automation and calls off what waits; returns how many messages that were. Raises NotFound."""
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            shop = await find_shop(unit.session, domain)
            row = await find_automation(unit.session, shop, key, lock=True)
            cancelled = await _call_off(unit, row, now)
            await unit.session.execute(delete(ShopAutomation).where(ShopAutomation.id == row.id))
            return cancelled

    async def _switch(self, domain: str, key: str, *, active: bool) -> ShopAutomation:
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            shop = await find_shop(unit.session, domain)
            row = await find_automation(unit.session, shop, key, lock=True)
            if row.active != active:
                row.active, row.updated_at = active, now
                await unit.session.flush()
            if not active:
                await _call_off(unit, row, now)
            return row


async def save(
    unit: Unit, shop: Shop, key: str, wanted: AutomationIn, templates: Sandbox, now: datetime
) -> ShopAutomation:
    """Stores a checked automation in the caller's unit of work. Raises InvalidInput."""
    key = _checked_key(key)
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
        await _call_off(unit, row, now)
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
    return await save(unit, shop, preset.key, wanted, templates, now)


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


def _checked_key(key: str) -> str:
    try:
        return _KEY.validate_python(key)
    except ValidationError as error:
        raise InvalidInput("key", "may have letters, digits, dots, dashes and underscores, at most 64") from error


async def _call_off(unit: Unit, row: ShopAutomation, now: datetime) -> int:
    return await cancel_messages(unit, ShopMessage.automation_id == row.id, Reason.AUTOMATION_STOPPED, now)
