"""Numbers, mail addresses and names as buyers and shops really fill them in."""

from __future__ import annotations

from typing import Any

from shops.rules.payloads import SHOP, payload
from shops.storefront import Storefront
from tidings.features.shops.models import ShopCustomer

MARA, OTHER, THIRD = "+18105550123", "+13135550142", "+12125550177"
BERLIN = "+4915112345678"


def order(
    phone: Any = None,
    customer: Any = None,
    billing: Any = None,
    default: Any = None,
    shipping: Any = None,
    *,
    country: str = "US",
) -> dict[str, Any]:
    """An order in which only these places have a number; its addresses are in `country`."""
    found = payload("orders_create")
    found["phone"], found["customer"]["phone"] = phone, customer
    places = (found["billing_address"], billing), (found["customer"]["default_address"], default)
    for place, number in (*places, (found["shipping_address"], shipping)):
        place["phone"], place["country_code"] = number, country
    return found


NUMBERS: list[tuple[str, dict[str, Any], str | None]] = [
    ("the database's NULL", order("NULL", billing=OTHER), OTHER),
    ("a zero", order("0", None, "0", shipping=OTHER), OTHER),
    ("an extension alone", order("ext. 12345", customer=OTHER), OTHER),
    ("N/A", order("N/A", billing=OTHER), OTHER),
    ("a dash, then none, then a plus", order("-", "none", "+", default=OTHER), OTHER),
    ("too short", order("555", "12345", shipping=OTHER), OTHER),
    ("zeros with dashes", order("000-000-0000", billing=OTHER), OTHER),
    ("one digit again and again", order("1111111111", "999 999 9999", OTHER), OTHER),
    ("digits as they stand on the keys", order("1234567890", "+1 234 567 8901", billing=OTHER), OTHER),
    ("undefined", order("undefined", billing=OTHER), OTHER),
    ("words", order("same as billing", "call the office", billing=OTHER), OTHER),
    ("a mail address", order("mara@example.com", billing=OTHER), OTHER),
    ("a country code alone", order("+1", "+49", billing=OTHER), OTHER),
    ("empty texts", order("", "   ", billing=OTHER), OTHER),
    ("a number as JSON's number", order(18105550123), MARA),
    ("zero as JSON's number", order(0, billing=OTHER), OTHER),
    ("a list", order([OTHER], billing=THIRD), THIRD),
    ("the order's own before all others", order(MARA, OTHER, THIRD, THIRD, THIRD), MARA),
    ("the customer's before a parcel's", order("NULL", None, OTHER, shipping=THIRD), OTHER),
    ("an extension behind a number is the last resort", order("+1 810 555 0123 ext. 12", billing=OTHER), OTHER),
    ("a number with an extension, and no other", order("(810) 555-0123 x12"), MARA),
    ("two numbers in one field", order("810-555-0123 / 313-555-0142"), MARA),
    ("as its country writes it", order("0151 12345678", country="DE"), BERLIN),
    ("as the country of its address writes it", order("NULL", billing="0151 12345678", country="DE"), BERLIN),
    ("with a zero in brackets", order("+49 (0) 151 12345678"), BERLIN),
    ("dialled from abroad", order("0049 151 12345678", country="DE"), BERLIN),
    ("a link", order("tel:+4915112345678"), BERLIN),
    ("a mobile before a landline", order("030 901820", billing="0151 12345678", country="DE"), BERLIN),
    ("a landline where there is no mobile", order("030 901820", country="DE"), "+4930901820"),
    ("Arabic digits", order("+٤٩١٥١١٢٣٤٥٦٧٨"), BERLIN),
    ("nothing usable at all", order("NULL", "0", "n/a", "-", "ext. 5"), None),
]


async def test_what_is_no_number_gives_way_to_the_next_one_that_is(store: Storefront) -> None:
    wrong = []
    for number, (what, told, expected) in enumerate(NUMBERS):
        domain = f"shop-{number}.myshopify.com"
        await store.shop(domain)
        await store.automation(shop=domain)
        event = await store.told("orders_create", domain=domain, **told)
        found = [message.recipient for message in await store.shops.messages.list(domain)]
        if found != ([expected] if expected else []):
            wrong.append((what, found, event.error))
        if expected is None:
            assert event.evaluation["hello"]["result"] == "no_phone"
            assert any("no usable phone" in sentence for sentence in event.missing), event.missing
    assert wrong == []


async def test_a_number_that_was_passed_over_is_said(store: Storefront) -> None:
    event = await store.told("orders_create", **order("NULL", "ext. 12345", billing=OTHER))
    assert "the phone of the customer is no number that can be used; that of the billing address is" in event.missing
    assert not any("ext. 12345" in sentence for sentence in event.missing), "what somebody wrote may be personal"


MAILS = [
    "no-email@example.com",
    "noemail@blossom-soaps.example.com",
    "NULL",
    "null@null.com",
    "none@none.com",
    "n/a",
    "-",
    "nobody",
    "unknown@example.com",
    "keine@mail.de",
    "sincorreo@tienda.example",
    "@",
]


async def test_a_mail_address_that_stands_for_none_makes_no_two_guests_one(store: Storefront) -> None:
    for number, mail in enumerate(MAILS):
        guest = {"customer": None, "email": mail, "contact_email": mail, "id": 100 + number}
        phone = f"+1212555{number:04}"
        event = await store.told("orders_create", **{**order(phone), **guest})
        assert event.error is None
    customers = await store.all(ShopCustomer)
    assert [row.email for row in customers] == [None] * len(MAILS)
    assert len({row.phone for row in customers}) == len(MAILS)


async def test_a_mail_address_falls_through_to_the_next_usable_one(store: Storefront) -> None:
    told = {**order(MARA), "email": "NULL", "contact_email": "no-email@example.com"}
    told["customer"]["email"] = "Mara <Mara.Okafor@example.com>"
    await store.told("orders_create", **told)
    assert (await store.customer()).email == "mara.okafor@example.com"


NAMES: list[tuple[Any, Any, str]] = [
    (".", None, "Hi there!"),
    ("null", "null", "Hi there!"),
    ("-", "-", "Hi there!"),
    ("N/A", "", "Hi there!"),
    ("Test", "Test", "Hi there!"),
    ("+1 810 555 0123", None, "Hi there!"),
    ("mara@example.com", None, "Hi there!"),
    ("undefined", "undefined", "Hi there!"),
    ("None", "None", "Hi there!"),
    ("???", "...", "Hi there!"),
    ("Guest", "Customer", "Hi there!"),
    ("Kunde", None, "Hi there!"),
    ("😀", None, "Hi there!"),
    ("  ", "Okafor", "Hi there!"),
    (7, ["Mara"], "Hi there!"),
    ("Jennifer", "Null", "Hi Jennifer!"),
    ("Bo", "Li", "Hi Bo!"),
    ("Åse-Marie", None, "Hi Åse-Marie!"),
    ("李", "雷", "Hi 李!"),
    ("O'Neil", None, "Hi O'Neil!"),
    ("MARA", "OKAFOR", "Hi Mara!"),
    ("mara", "okafor", "Hi Mara!"),
    ("Dr. Mara", "Okafor", "Hi Mara!"),
    ("Mr", "Okafor", "Hi there!"),
    ("Frau", "Okafor", "Hi there!"),
    ("Okafor, Mara", None, "Hi Mara!"),
    ("Mara (VIP)", "Okafor", "Hi Mara!"),
    ("<b>Mara</b>", "Okafor", "Hi Mara!"),
    ("Mara\nLou", "Okafor", "Hi Mara Lou!"),
    ("{{first_name}}", "{{last_name}}", "Hi there!"),
    ("First Name", "Last Name", "Hi there!"),
    ("no", "name", "Hi there!"),
    ("asdf", "asdf", "Hi there!"),
    ("Mara & Ben", None, "Hi Mara & Ben!"),
]


async def test_what_is_no_name_greets_nobody_by_it(store: Storefront) -> None:
    wrong = []
    for number, (first, last, text) in enumerate(NAMES):
        domain = f"shop-{number}.myshopify.com"
        await store.shop(domain)
        await store.automation(shop=domain)
        told = order(f"+1212555{number:04}")
        for holder in (told["customer"], told["customer"]["default_address"], *map(told.get, ADDRESSES)):
            holder |= {"first_name": first, "last_name": last, "name": f"{first} {last}"}
        told["customer"]["id"] = 1000 + number
        await store.told("orders_create", domain=domain, **told)
        [message] = await store.shops.messages.list(domain)
        if message.text != text:
            wrong.append((first, message.text))
    assert wrong == []


ADDRESSES = ("billing_address", "shipping_address")


async def test_a_customer_without_a_name_is_greeted_by_that_of_their_address(store: Storefront) -> None:
    await store.automation()
    told = order(MARA)
    told["customer"] |= {"first_name": "null", "last_name": "."}
    await store.told("orders_create", **told)
    assert store.texts == [(MARA, "Hi Mara!")]
    assert SHOP in {shop.domain for shop in await store.shops.accounts.list()}
