"""Who a shop's event is about: the customer, and the number to reach them on, wherever the payload has it.

Payloads before API version 2025-01 carry tags, totals and consent with the customer; later ones do not
(Shopify developer changelog, 1 January 2025). What is not there is None, or () for tags, and then unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from tidings.features.shops.rules import reading
from tidings.features.shops.rules.contact_details import (
    CONSENTED,
    WrittenPhone,
    usable_email,
    usable_name,
    written_phone,
)
from tidings.messages.contacts.parsed_names import PersonName, name_of_parts, parse_name
from tidings.messages.contacts.placeholders import is_placeholder


@dataclass(frozen=True, slots=True)
class SmsConsent:
    """Consent to SMS marketing, as the shop keeps it. `at` is UTC; `phone`, as written, is the number it is for.

    `state` is Shopify's: subscribed, not_subscribed, unsubscribed, pending, redacted.
    """

    state: str
    opt_in_level: str | None
    at: datetime | None
    phone: str | None


@dataclass(frozen=True, slots=True)
class CustomerDetails:
    """A shop's customer. `phones` are as people wrote them, the newest statement first and addresses last.

    `country` is ISO 3166-1, two letters; `total_spent` is in the shop's currency.
    """

    id: str | None
    first_name: str | None
    last_name: str | None
    email: str | None
    phones: tuple[WrittenPhone, ...]
    country: str | None
    locale: str | None
    tags: tuple[str, ...]
    orders_count: int | None
    total_spent: Decimal | None
    sms_consent: SmsConsent | None

    @property
    def phone(self) -> str | None:
        """The first number, as it is written."""
        return self.phones[0].text if self.phones else None


def read_customer(raw: Mapping[str, Any]) -> CustomerDetails | None:
    """The customer of an order, a checkout or a fulfillment, or None when it names nobody."""
    return _read(raw, reading.mapping(raw.get("customer")))


def read_bare_customer(raw: Mapping[str, Any]) -> CustomerDetails | None:
    """The customer that a payload is, as those of customers/… are."""
    return _read({}, raw)


def _read(purchase: Mapping[str, Any], person: Mapping[str, Any]) -> CustomerDetails | None:
    addresses = _addresses(purchase, person)
    opted_in = _opted_in_at_checkout(purchase)
    people = (person, *(address for _, address in addresses))
    name = _name_of(people)
    mails = [source.get(key) for source in (purchase, person) for key in ("email", "contact_email")]
    customer = CustomerDetails(
        id=reading.own_id(person),
        first_name=name.first,
        last_name=name.last,
        email=reading.first(*map(usable_email, mails)),
        phones=_phones(purchase, person, addresses, opted_in),
        country=reading.first(*(_country(address) for _, address in addresses)),
        locale=reading.first(
            reading.text(purchase.get("customer_locale"), 35), reading.text(person.get("locale"), 35)
        ),
        tags=reading.words(person.get("tags")),
        orders_count=reading.whole(person.get("orders_count")),
        total_spent=reading.amount(person.get("total_spent")),
        sms_consent=opted_in or _kept_consent(person),
    )
    known = (customer.id, customer.first_name, customer.last_name, customer.email, customer.phones)
    return customer if any(known) else None


def _addresses(purchase: Mapping[str, Any], person: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The buyer's own addresses before those that a parcel goes to, which may be a friend's."""
    places = [
        ("billing address", purchase.get("billing_address")),
        ("default address", person.get("default_address")),
        (_PARCEL[0], purchase.get("shipping_address")),
        (_PARCEL[1], purchase.get("destination")),
    ]
    found = [(name, reading.mapping(place)) for name, place in places]
    others = [("customer's addresses", each) for each in reading.objects(person.get("addresses"))]
    return [(name, place) for name, place in found if place] + others


_PARCEL = ("shipping address", "destination")


def _phones(
    purchase: Mapping[str, Any],
    person: Mapping[str, Any],
    addresses: Sequence[tuple[str, Mapping[str, Any]]],
    opted_in: SmsConsent | None,
) -> tuple[WrittenPhone, ...]:
    """Every number, once: the newest statement first, addresses last."""
    found = [
        written_phone(opted_in and opted_in.phone, CONSENTED),
        written_phone(purchase.get("phone"), "order"),
        written_phone(person.get("phone"), "customer"),
        *(
            written_phone(address.get("phone"), name, _country(address), is_own=name not in _PARCEL)
            for name, address in addresses
        ),
    ]
    texts: dict[str, WrittenPhone] = {}
    for one in found:
        if one is not None:
            texts.setdefault(one.text, one)
    return tuple(texts.values())


def _name_of(people: Sequence[Mapping[str, Any]]) -> PersonName:
    """A name as it greets: without titles, in its own capitals; each part from where it is a name."""
    named = [one for one in people if not is_placeholder(f"{one.get('first_name')}{one.get('last_name')}")]  # no name
    first, last = _named("first_name", named), _named("last_name", named)
    return parse_name(first) if first and last is None and "," in first else name_of_parts(first, last)


def _named(key: str, people: Sequence[Mapping[str, Any]]) -> str | None:
    name: str | None = reading.first(*(usable_name(each.get(key)) for each in people))
    return name


def _country(address: Mapping[str, Any]) -> str | None:
    code = reading.text(address.get("country_code"), 3)
    return code.upper() if code and len(code) == 2 and code.isascii() and code.isalpha() else None


def _opted_in_at_checkout(purchase: Mapping[str, Any]) -> SmsConsent | None:
    """The box that the buyer ticked in this checkout. An empty box takes no earlier consent back."""
    if purchase.get("buyer_accepts_sms_marketing") is not True:
        return None
    phone = reading.first(
        reading.text(purchase.get("sms_marketing_phone"), 40), reading.text(purchase.get("phone"), 40)
    )
    return SmsConsent("subscribed", None, reading.moment(purchase.get("updated_at")), phone)


def _kept_consent(person: Mapping[str, Any]) -> SmsConsent | None:
    consent = reading.mapping(person.get("sms_marketing_consent"))
    state = reading.text(consent.get("state"), 40)
    if state is None:
        return None
    return SmsConsent(
        state.lower(),
        reading.text(consent.get("opt_in_level"), 40),
        reading.moment(consent.get("consent_updated_at")),
        reading.text(person.get("phone"), 40),
    )
