"""What comes in and goes out about shops and their automations over HTTP."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from tidings.features.shops.rules.presets import PRESETS
from tidings.fields import Id, Input, JsonObject, Name, Output, Storable, Text, Timezone

_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")

MAX_DELAY = 365 * 24 * 3600
"""Seconds that an automation may wait at most: a year."""


def read_domain(raw: str) -> str:
    """A domain in lower case. Raises ValueError."""
    name = raw.strip().lower()
    if not _DOMAIN.fullmatch(name) or len(name) > 255:
        raise ValueError("is not a shop's domain; write one like blossom.myshopify.com")
    return name


def _usable_sender(text: str) -> str:
    name = text.removeprefix("+")
    longest = 14 if name.isdigit() else 11
    if not (name.isascii() and name.isprintable() and 3 <= len(name) <= longest):
        raise ValueError("is no sender; write a name of 3 to 11 characters or a number of 3 to 14 digits")
    return name


def _known_preset(key: str) -> str:
    if key not in PRESETS:
        raise ValueError(f"is not a preset; there are {', '.join(PRESETS)}")
    return key


Domain = Annotated[str, AfterValidator(read_domain)]
Currency = Annotated[
    str, StringConstraints(strip_whitespace=True, to_upper=True, pattern=r"^\s*[A-Za-z]{3}\s*$"), Storable
]
Region = Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, pattern=r"^\s*[A-Za-z]{2}\s*$")]
Locale = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$")]
Secret = Annotated[str, StringConstraints(strip_whitespace=True, min_length=8, max_length=500), Storable]
Sender = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_usable_sender)]
Price = Annotated[str, StringConstraints(strip_whitespace=True, max_length=20)]
Key = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""A name that stands in addresses and figures: letters, digits, dots, dashes, underscores."""
PresetKey = Annotated[str, AfterValidator(_known_preset)]


class ShopIn(Input):
    """A shop. `region` is where its customers' numbers without + are read, `presets` are automations to install.

    `webhook_secret` is the app's secret, with which Shopify signs. `sms_prices` are prices of one segment by region
    (DE) or calling code (+49) in the shop's currency.
    """

    domain: Domain
    name: Name
    timezone: Timezone = "UTC"
    currency: Currency = "USD"
    locale: Locale = "en"
    region: Region = "US"
    webhook_secret: Secret
    sender: Sender | None = None
    mitto_api_key: Secret | None = None
    sms_prices: dict[str, Price] = Field(default_factory=dict)
    default_price: Price = "0"
    presets: list[PresetKey] = Field(default_factory=list)


class ShopChange(Input):
    """What is to change about a shop; what is left out stays. A null `sender` or `mitto_api_key` takes it away."""

    name: Name | None = None
    timezone: Timezone | None = None
    currency: Currency | None = None
    locale: Locale | None = None
    region: Region | None = None
    sender: Sender | None = None
    mitto_api_key: Secret | None = None
    sms_prices: dict[str, Price] | None = None
    default_price: Price | None = None


class SecretIn(Input):
    """The app's new secret. The one before still counts, until the next change or `forget_previous`."""

    webhook_secret: Secret
    forget_previous: bool = False


class ShopOut(Output):
    """A shop without its secrets; times are UTC."""

    id: int
    domain: str
    name: str
    timezone: str
    currency: str
    locale: str
    region: str
    sender: str | None
    has_mitto_api_key: bool
    sms_prices: dict[str, str]
    default_price: str
    installed_at: datetime
    uninstalled_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ApiKeyOut(Output):
    """A shop's API key. It is shown this once."""

    api_key: str


class ShopCreated(Output):
    """A new shop, and its API key, which is shown this once."""

    shop: ShopOut
    api_key: str


class AutomationIn(Input):
    """What to write to whom when `trigger` happens in the shop.

    `rules` is a document of conditions, None for no condition. `goal_topic` calls the message off when that happens
    to the same checkout or customer first. With `restart`, another trigger puts a waiting message off.
    """

    name: Name
    trigger: Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)]
    rules: JsonObject | None = None
    template: Text
    delay_seconds: Annotated[int, Field(ge=0, le=MAX_DELAY)] = 0
    purpose: Literal["transactional", "promotional"]
    goal_topic: Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)] | None = None
    restart: bool = False
    active: bool = True


class AutomationOut(Output):
    """A stored automation; times are UTC."""

    id: int
    key: str
    name: str
    trigger: str
    rules: dict[str, Any] | None
    template: str
    delay_seconds: int
    purpose: str
    goal_topic: str | None
    restart: bool
    active: bool
    version: int
    created_at: datetime
    updated_at: datetime


class PreviewIn(Input):
    """Whom to preview an automation for: a customer, or the customer of a stored event."""

    customer_id: Id | None = None
    event_id: Id | None = None
    template: Text | None = None


class PreviewOut(Output):
    """What an automation would send to a real customer, whether its rules hold, and what that would cost.

    `explanation` has one sentence for each condition, `size` says how many SMS the text takes and why. `event_id`
    is the stored event whose facts were used; without one only the customer's are known. `price` is in `currency`.
    """

    text: str | None
    error: str | None
    holds: bool
    explanation: list[str]
    segments: int
    size: str | None
    price: str
    currency: str
    recipient: str | None
    event_id: int | None


class EventOut(Output):
    """A webhook as it was taken in, and what came of it; times are UTC."""

    id: int
    event_id: str
    topic: str
    object_id: str | None
    customer_id: int | None
    request_id: str
    received_at: datetime
    processed_at: datetime | None
    evaluated_at: datetime | None
    error: str | None
    missing: list[str]
    evaluation: dict[str, Any]


class ShopMessageOut(Output):
    """A message of a shop; times are UTC, `price` is in the shop's currency."""

    id: int
    customer_id: int | None
    automation_id: int | None
    campaign_id: int | None
    purpose: str
    recipient: str | None
    scheduled_time: datetime
    status: str
    status_reason: str | None
    error_message: str | None
    text: str | None
    segments: int | None
    price: str | None
    request_id: str | None
    not_after: datetime | None
    sent_at: datetime | None
    created_at: datetime
    updated_at: datetime


class CustomerOut(Output):
    """A customer of a shop, as far as webhooks told; times are UTC."""

    id: int
    customer_key: str
    first_name: str | None
    last_name: str | None
    email: str | None
    phone: str | None
    country: str | None
    locale: str | None
    tags: list[str]
    orders_count: int
    total_spent: str
    first_order_at: datetime | None
    last_order_at: datetime | None
    sms_consent: str | None
    sms_consent_at: datetime | None
    redacted_at: datetime | None


class ExportOut(Output):
    """What is kept about a customer who asked for it, from a `customers/data_request`."""

    id: int
    request_key: str
    customer_id: int | None
    created_at: datetime
    content: dict[str, Any]


class Received(Output):
    """What became of a webhook. `duplicate`: it had been taken in before. `ignored` says why nothing comes of it."""

    duplicate: bool = False
    ignored: str | None = None


class Enqueued(Output):
    """A job that was added to a queue."""

    queue: str
    name: str


class JobIn(Input):
    """A job's data in the specification's field names."""

    data: JsonObject
