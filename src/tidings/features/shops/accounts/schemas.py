"""What comes in and goes out about shops themselves."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from tidings.features.shops.rules.presets import PRESETS
from tidings.features.shops.rules.sign_up import read_keyword
from tidings.fields import Input, Name, Output, Storable, Timezone

_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")


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
Keyword = Annotated[str, StringConstraints(max_length=100), AfterValidator(read_keyword)]
Price = Annotated[str, StringConstraints(strip_whitespace=True, max_length=20)]
PresetKey = Annotated[str, AfterValidator(_known_preset)]


class ShopIn(Input):
    """A shop. `region` is where its customers' numbers without + are read, `presets` are automations to install.

    `webhook_secret` is the app's secret, with which Shopify signs. `sms_prices` are prices of one segment by region
    (DE) or calling code (+49) in the shop's currency. Who texts `join_keyword` signs up for campaigns, null: nobody
    can; with `double_opt_in` they are asked to confirm it, and null leaves that to the country's law.
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
    join_keyword: Keyword | None = "JOIN"
    double_opt_in: bool | None = None


class ShopChange(Input):
    """What is to change about a shop; what is left out stays.

    A null `sender`, `mitto_api_key` or `join_keyword` takes it away, a null `double_opt_in` leaves it to the country.
    """

    name: Name | None = None
    timezone: Timezone | None = None
    currency: Currency | None = None
    locale: Locale | None = None
    region: Region | None = None
    sender: Sender | None = None
    mitto_api_key: Secret | None = None
    sms_prices: dict[str, Price] | None = None
    default_price: Price | None = None
    join_keyword: Keyword | None = None
    double_opt_in: bool | None = None


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
    join_keyword: str | None
    double_opt_in: bool | None
    installed_at: datetime
    uninstalled_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ApiKeyOut(Output):
    """A shop's API key. It is shown this once."""

    api_key: str


class CallbackTokenIn(Input):
    """The former address still counts, until the next rotation or `forget_previous`."""

    forget_previous: bool = False


class ShopCallbackOut(Output):
    """Where Mitto tells of a shop's replies and deliveries; a path where this installation has no public address.

    Whoever knows it can say STOP for anybody. It is shown this once.
    """

    callback_url: str


class ShopCreated(Output):
    """A new shop, its API key, and where Mitto tells of its replies and deliveries; both are shown this once.

    `webhook_url` is where Shopify is to post, whatever the topic; a path where there is no public address.
    """

    shop: ShopOut
    api_key: str
    callback_url: str
    webhook_url: str
