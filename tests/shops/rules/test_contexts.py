"""Webhooks of a shop as facts: where they are found, and what is said when they are not."""

from __future__ import annotations

import copy
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shops.rules.payloads import NAMES, SHOP, context_of, payload, topic_of_file
from support.cases import every_case
from tidings.errors import InvalidInput
from tidings.features.shops.rules.contexts import TOPICS, EventContext, normalize_event_context
from tidings.features.shops.rules.field_types import READERS
from tidings.features.shops.rules.variables import FIELDS, ShopVariables, names_for, variables


def at(day: int, hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=UTC)


def test_there_is_a_payload_of_every_topic() -> None:
    assert {topic_of_file(name) for name in NAMES} == set(TOPICS)


@every_case(
    ("name", "object_id", "occurred_at"),
    [
        ("orders_create", "5523456789012", at(20, 19, 31, 7)),
        ("orders_create.gids", "5523456789012", at(20, 19, 31, 7)),
        ("orders_paid", "5523456789012", at(20, 19, 33, 41)),
        ("orders_updated", "5523456789012", at(22, 14, 40, 12)),
        ("orders_cancelled", "5523456789012", at(20, 20, 2, 10)),
        ("checkouts_create", "36120987654321", at(20, 19, 12, 44)),
        ("checkouts_update", "36120987654321", at(20, 19, 18, 2)),
        ("orders_delete", "5523456789012", None),
        ("checkouts_delete", "36120987654321", None),
        ("customers_create", "7120953364723", at(20, 19, 31, 8)),
        ("customers_update", "7120953364723", at(20, 19, 31, 9)),
        ("customers_delete", "7120953364723", None),
        ("customers_marketing_consent_update", "7120953364723", at(21, 13, 0)),
        ("customers_data_request", "7120953364723", None),
        ("customers_redact", "7120953364723", None),
        ("customers_redact.only_email", None, None),
        ("shop_redact", "61234567890", None),
        ("app_uninstalled", "61234567890", None),
        ("fulfillments_create", "4901234567890", at(22, 14, 40, 11)),
        ("fulfillments_update", "4901234567890", at(24, 13, 5)),
        ("refunds_create", "929361464001", at(23, 21, 2)),
    ],
)
def test_an_event_has_the_id_of_its_object_and_its_time_in_utc(
    name: str, object_id: str | None, occurred_at: datetime | None
) -> None:
    context = context_of(name)
    assert (context.shop_id, context.object_id, context.occurred_at) == (SHOP, object_id, occurred_at)


def test_an_order_tells_who_bought_what() -> None:
    context = context_of("orders_create")
    order, customer = context.order, context.customer
    assert order is not None
    assert customer is not None
    assert (order.name, order.number, order.total_price, order.currency) == ("#1042", 1042, Decimal("64.89"), "USD")
    assert [(line.title, line.quantity, line.price, line.sku) for line in order.line_items] == [
        ("Rose soap, hand cut", 2, Decimal("12.50"), "SOAP-ROSE"),
        ("Linen towel", 1, Decimal("34.90"), "TOWEL-L"),
    ]
    assert order.discount_codes == ("AUTUMN10",)
    assert order.checkout_token == "c1a5e0b9d2f34c6f8a7b90e1d2c3f4a5"
    assert (order.financial_status, order.gateway, order.source_name, order.test) == (
        "authorized", "shopify_payments", "web", False,
    )  # fmt: skip
    assert order.order_status_url is not None
    assert (customer.id, customer.first_name, customer.last_name) == ("7120953364723", "Mara", "Okafor")
    assert (customer.email, customer.phone, customer.locale, customer.country) == (
        "mara.okafor@example.com", "+18105550123", "en-US", "US",
    )  # fmt: skip


def test_payloads_before_api_version_2025_01_carry_tags_totals_and_consent() -> None:
    customer = context_of("orders_paid").customer
    assert customer is not None
    assert customer.tags == ("VIP", "wholesale", "newsletter")
    assert (customer.orders_count, customer.total_spent) == (4, Decimal("386.40"))
    consent = customer.sms_consent
    assert consent is not None
    assert (consent.state, consent.opt_in_level, consent.phone) == ("subscribed", "confirmed_opt_in", "+18105550123")
    assert consent.at == datetime(2024, 2, 11, 15, 6, 30, tzinfo=UTC)


def test_later_payloads_say_that_consent_has_to_be_asked_for_elsewhere() -> None:
    context = context_of("customers_update")
    assert context.customer is not None
    assert context.customer.sms_consent is None
    assert context.missing == (
        "no SMS consent: the payload does not tell it; customers_marketing_consent/update does",
    )


def phones(**numbers: str | None) -> dict[str, Any]:
    """An order in which only these places have a number."""
    found = payload("orders_create")
    found["phone"] = found["customer"]["phone"] = None
    for place in ("billing_address", "shipping_address"):
        found[place]["phone"] = None
    found["customer"]["default_address"]["phone"] = None
    for place, number in numbers.items():
        if place == "order":
            found["phone"] = number
        elif place == "customer":
            found["customer"]["phone"] = number
        elif place == "default_address":
            found["customer"]["default_address"]["phone"] = number
        else:
            found[place]["phone"] = number
    return found


@pytest.mark.parametrize(
    ("numbers", "phone"),
    [
        ({"order": "1", "customer": "2", "billing_address": "3", "shipping_address": "4"}, "1"),
        ({"customer": "2", "billing_address": "3", "shipping_address": "4"}, "2"),
        ({"billing_address": "3", "default_address": "5", "shipping_address": "4"}, "3"),
        ({"default_address": "5", "shipping_address": "4"}, "5"),
        ({"shipping_address": " 4 "}, "4"),
        ({"order": "  ", "shipping_address": "4"}, "4"),
        ({}, None),
    ],
)
def test_the_number_is_the_buyers_own_before_that_of_a_parcels_address(
    numbers: dict[str, str], phone: str | None
) -> None:
    context = normalize_event_context("orders/create", phones(**numbers), SHOP)
    assert context.customer is not None
    assert context.customer.phone == phone
    sentence = "no phone: neither the order, its customer nor its addresses have one"
    assert (sentence in context.missing) is (phone is None)


def test_a_number_of_an_address_is_to_be_read_in_its_country() -> None:
    customer = context_of("orders_create.guest_abroad").customer
    assert customer is not None
    assert (customer.id, customer.first_name, customer.phone, customer.country) == (
        None, "Jürgen", "0170 1234567", "DE",
    )  # fmt: skip


def test_a_box_ticked_at_checkout_is_consent_for_the_number_beside_it() -> None:
    customer = context_of("checkouts_update.opted_in").customer
    assert customer is not None
    assert customer.phone == "+13135550142"
    consent = customer.sms_consent
    assert consent is not None
    assert (consent.state, consent.phone, consent.at) == ("subscribed", "+13135550142", at(20, 19, 18, 2))


@pytest.mark.parametrize("box", [False, None, "true", 1])
def test_a_box_that_is_not_ticked_is_no_consent(box: Any) -> None:
    customer = context_of("checkouts_update", buyer_accepts_sms_marketing=box).customer
    assert customer is not None
    assert customer.sms_consent is None


def test_an_empty_box_takes_no_consent_back() -> None:
    given = payload("customers_update.before_2025")
    customer = context_of("checkouts_update", customer=given).customer
    assert customer is not None
    assert customer.sms_consent is not None
    assert customer.sms_consent.state == "subscribed"


@pytest.mark.parametrize("topic", ["customers_marketing_consent/update", "customers/marketing_consent_update"])
def test_a_change_of_consent_is_understood_under_both_of_its_names(topic: str) -> None:
    context = normalize_event_context(topic, payload("customers_marketing_consent_update"), SHOP)
    assert context.topic == "customers_marketing_consent/update"
    assert context.customer is not None
    assert context.customer.sms_consent is not None
    assert context.customer.sms_consent.state == "unsubscribed"
    assert context.customer.sms_consent.at == at(21, 13, 0)


def test_a_state_of_consent_is_written_in_small_letters() -> None:
    customer = context_of("customers_marketing_consent_update.no_phone").customer
    assert customer is not None
    assert customer.sms_consent is not None
    assert customer.sms_consent.state == "not_subscribed"


def test_what_the_buyer_saw_is_kept_beside_the_shops_amount() -> None:
    order = context_of("orders_create.guest_abroad").order
    assert order is not None
    assert (order.total_price, order.currency) == (Decimal("64.89"), "USD")
    assert (order.presentment_total_price, order.presentment_currency) == (Decimal("61.40"), "EUR")


def test_an_amount_in_another_currency_is_not_guessed() -> None:
    checkout = context_of("checkouts_update.other_currency").checkout
    assert checkout is not None
    assert (checkout.presentment_total_price, checkout.presentment_currency) == (None, "CHF")


def test_a_fulfillment_names_its_order_its_destination_and_its_tracking() -> None:
    context = context_of("fulfillments_create.two_parcels")
    assert context.order is not None
    assert context.fulfillment is not None
    assert context.customer is not None
    assert (context.order.id, context.order.name) == ("5523456789012", "#1042")
    assert context.fulfillment.tracking_company == "DHL Express"
    assert context.fulfillment.tracking_numbers == ("JD01", "JD02")
    assert context.fulfillment.tracking_urls == (
        "https://www.dhl.com/track?id=JD01",
        "https://www.dhl.com/track?id=JD02",
    )
    assert (context.customer.first_name, context.customer.phone) == ("Mara", "+1 810-555-0123")


def test_a_refund_is_the_sum_of_what_was_paid_back() -> None:
    refund = context_of("refunds_create").refund
    assert refund is not None
    assert (refund.amount, refund.currency) == (Decimal("34.90"), "USD")


def test_a_privacy_request_names_the_customer_and_the_orders() -> None:
    asked, erased = context_of("customers_data_request"), context_of("customers_redact")
    assert asked.order_ids == ("5523456789012", "5512345678901")
    assert erased.order_ids == ("5523456789012",)
    assert erased.customer is not None
    assert (erased.customer.id, erased.customer.phone) == ("7120953364723", "+18105550123")


def test_a_shops_owner_is_not_taken_for_a_customer() -> None:
    assert context_of("app_uninstalled").customer is None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("orders_create.till", "no customer: the order names nobody"),
        ("orders_create.till", "no checkout token: draft orders and those of a till have none"),
        (
            "orders_create.guest_abroad",
            "no customer id: the order has no customer with an id, as of a guest",
        ),
        ("checkouts_create", "no phone: neither the checkout, its customer nor its addresses have one"),
        ("checkouts_update.draft_order", "no checkout token: a checkout of a draft order has none"),
        (
            "checkouts_update.draft_order",
            "no abandoned_checkout_url: the checkout has no address to come back to",
        ),
        ("customers_redact.only_email", "no id: the request has none"),
        (
            "customers_marketing_consent_update.no_phone",
            "no phone: neither the customer nor an address has one",
        ),
        (
            "customers_marketing_consent_update.no_phone",
            "no time: there is no usable sms_marketing_consent.consent_updated_at",
        ),
        ("fulfillments_create.untracked", "no tracking number: the fulfillment has none, or none yet"),
        ("refunds_create.store_credit", "no amount: the refund names no successful transaction"),
    ],
)
def test_what_could_not_be_found_is_said(name: str, sentence: str) -> None:
    assert sentence in context_of(name).missing


def test_unusable_amounts_are_said() -> None:
    context = context_of(
        "orders_create", total_price="a lot", currency="dollars", created_at=None, updated_at="today"
    )
    assert "no total price: total_price is no amount" in context.missing
    assert "no currency: currency is no three-letter code" in context.missing
    assert "no time: there is no usable created_at or updated_at" in context.missing


def test_a_topic_that_is_not_understood_gives_its_id_and_says_so() -> None:
    context = normalize_event_context("products/update", {"id": 7, "title": "Soap"}, SHOP)
    assert context.object_id == "7"
    assert context.customer is None
    assert "no facts: the topic products/update is not one that is understood" in context.missing


@pytest.mark.parametrize("raw", [None, [], "text", 5])
def test_a_payload_that_is_no_object_is_refused(raw: Any) -> None:
    with pytest.raises(InvalidInput, match="must be a JSON object") as caught:
        normalize_event_context("orders/create", raw, SHOP)
    assert caught.value.field == "raw"


@every_case("name", NAMES)
def test_the_facts_survive_a_job_as_json(name: str) -> None:
    kept = TypeAdapter(EventContext)
    context = context_of(name)
    assert kept.validate_json(kept.dump_json(context)) == context


@every_case("name", NAMES)
def test_every_field_of_a_topic_is_among_its_variables_and_of_its_type(name: str) -> None:
    context = context_of(name)
    found = variables(context)
    for field, kind in FIELDS[context.topic].items():
        root, key = field.split(".")
        value = found[root][key]
        assert value is None or value == [] or READERS[kind](value) is not None


@every_case("name", NAMES)
def test_the_variables_are_those_that_a_template_may_use(name: str) -> None:
    context = context_of(name)
    given = set()
    for root, value in variables(context).items():
        names = value if isinstance(value, dict) else {"": None}
        for key in names:
            if key == "line_items":
                given |= {f"{root}.line_items[].{part}" for part in ("title", "quantity", "price", "sku")}
            else:
                given.add(f"{root}.{key}".rstrip("."))
    assert given == names_for(context.topic)


def test_a_shop_without_a_name_goes_by_its_domain() -> None:
    context = context_of("orders_create")
    assert variables(context)["shop"]["name"] == "blossom-soaps"
    assert variables(context, ShopVariables("Blossom Soaps"))["shop"]["name"] == "Blossom Soaps"


ODD: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(["", "\0", "\ud800", "NaN", "1e999999", "9999-12-31T23:59:59-14:00", "gid://x/y/", 10**30]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in ((*path, key), *places(value[key], (*path, key)))]


PLACES = {name: places(payload(name)) for name in NAMES}


@st.composite
def broken_payloads(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A payload in which a few things are gone, null or of another type."""
    name = draw(st.sampled_from(NAMES))
    raw = copy.deepcopy(payload(name))
    for *above, key in draw(st.lists(st.sampled_from(PLACES[name]), max_size=4)):
        with suppress(KeyError, IndexError, TypeError):  # what another one of them took away
            holder: Any = raw
            for step in above:
                holder = holder[step]
            holder[key] = draw(ODD)
            if draw(st.booleans()):
                del holder[key]
    return topic_of_file(name), raw


@settings(max_examples=80, deadline=None)
@given(broken_payloads())
def test_whatever_a_payload_lacks_it_is_read_as_far_as_it_goes(broken: tuple[str, dict[str, Any]]) -> None:
    topic, raw = broken
    context = normalize_event_context(topic, raw, SHOP)
    assert all(": " in sentence for sentence in context.missing)
    assert variables(context)
    kept = TypeAdapter(EventContext)
    assert kept.validate_json(kept.dump_json(context)) == context


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([*TOPICS, "products/update", ""]),
    st.dictionaries(st.sampled_from(sorted({key for name in NAMES for key in payload(name)})), ODD, max_size=6),
)
def test_no_json_object_is_too_odd_to_be_read(topic: str, raw: dict[str, Any]) -> None:
    assert normalize_event_context(topic, raw, SHOP).shop_id == SHOP
