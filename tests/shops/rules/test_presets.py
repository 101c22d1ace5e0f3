"""The ready automations work as they are: on every payload that starts them, in one segment."""

from __future__ import annotations

import pytest

from shops.rules.payloads import NAMES, context_of, topic_of_file
from support.cases import every_case
from tidings.features.shops.rules.contexts import TOPICS
from tidings.features.shops.rules.money import shop_templates
from tidings.features.shops.rules.predicates import compile_predicate
from tidings.features.shops.rules.presets import PRESETS, Preset
from tidings.features.shops.rules.variables import FIELDS, ShopVariables, names_for, variables
from tidings.messages.gate.terms import Purpose
from tidings.messages.text.segments import measure

TEMPLATES = shop_templates()
SHOP = ShopVariables("Blossom Soaps", "en", "USD")
STARTS = [(preset, name) for preset in PRESETS.values() for name in NAMES if topic_of_file(name) == preset.trigger]


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.key)
def test_a_preset_could_be_saved_as_it_is(preset: Preset) -> None:
    compile_predicate(preset.rules, FIELDS[preset.trigger])
    TEMPLATES.check(preset.template, names_for(preset.trigger))
    assert preset.trigger in TOPICS
    assert preset.goal_topic is None or preset.goal_topic in TOPICS
    assert ("STOP" in preset.template) is (preset.purpose == Purpose.PROMOTIONAL)


@every_case(("preset", "name"), STARTS, ids=lambda each: getattr(each, "key", each))
def test_a_preset_makes_one_plain_segment_of_every_payload_that_it_answers(preset: Preset, name: str) -> None:
    found = variables(context_of(name), SHOP)
    if not compile_predicate(preset.rules, FIELDS[preset.trigger]).matches(found):
        return
    measured = measure(TEMPLATES.render(preset.template, found))
    assert (measured.encoding, measured.segments) == ("GSM-7", 1)


@pytest.mark.parametrize(
    ("key", "name", "text"),
    [
        (
            "abandoned_checkout",
            "checkouts_update",
            "Blossom Soaps: your cart waits: https://blossom-soaps.example.com/61234567890/checkouts/"
            "c1a5e0b9d2f34c6f8a7b90e1d2c3f4a5/recover?key=6dacd60 STOP to end",
        ),
        (
            "order_confirmation",
            "orders_create",
            "Blossom Soaps: thank you, Mara! We have your order #1042 for $64.89.",
        ),
        (
            "order_confirmation",
            "orders_create.guest_abroad",
            "Blossom Soaps: thank you, Jürgen! We have your order #1042 for €61.40.",
        ),
        (
            "shipping_update",
            "fulfillments_create.two_parcels",
            "Blossom Soaps: your order #1042 is on its way with DHL Express. "
            "Track it: https://www.dhl.com/track?id=JD01",
        ),
        ("shipping_update", "fulfillments_create.untracked", "Blossom Soaps: your order #1042 is on its way."),
        (
            "review_request",
            "fulfillments_create",
            "Blossom Soaps: how do you like Rose soap, hand cut? Reply 1 (bad) to 5 (great). "
            "We read every answer. STOP to end",
        ),
        (
            "win_back",
            "orders_create.till",
            "Blossom Soaps: we miss you! It has been a while since your last order. "
            "Come and see what is new. STOP to end",
        ),
    ],
)
def test_a_preset_says(key: str, name: str, text: str) -> None:
    assert TEMPLATES.render(PRESETS[key].template, variables(context_of(name), SHOP)) == text


@pytest.mark.parametrize(
    ("key", "name", "starts"),
    [
        ("abandoned_checkout", "checkouts_update", True),
        ("abandoned_checkout", "checkouts_update.completed", False),
        ("abandoned_checkout", "checkouts_update.draft_order", False),
        ("order_confirmation", "orders_create", True),
        ("order_confirmation", "orders_create.test", False),
        ("win_back", "orders_create.test", False),
        ("shipping_update", "fulfillments_create.untracked", True),
    ],
)
def test_a_preset_starts_for_those_it_is_meant_for(key: str, name: str, starts: bool) -> None:
    preset = PRESETS[key]
    found = variables(context_of(name), SHOP)
    assert compile_predicate(preset.rules, FIELDS[preset.trigger]).matches(found) is starts


def test_the_presets_wait_as_long_as_they_say() -> None:
    waits = {preset.key: preset.delay_seconds for preset in PRESETS.values()}
    assert waits == {
        "abandoned_checkout": 3_600,
        "order_confirmation": 0,
        "shipping_update": 0,
        "review_request": 7 * 86_400,
        "win_back": 60 * 86_400,
        "refund_notice": 0,
    }


def test_a_long_name_of_a_shop_or_an_item_is_cut() -> None:
    shop = ShopVariables("The Extraordinarily Long Named Soap Company of Michigan")
    lines = [{"title": "Soap " * 40, "quantity": 1, "price": "1.00"}]
    found = variables(context_of("fulfillments_create", line_items=lines), shop)
    text = TEMPLATES.render(PRESETS["review_request"].template, found)
    assert text.startswith("The Extraordinarily Lo...: how do you like Soap Soap")
    assert measure(text).segments == 1
