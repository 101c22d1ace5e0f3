"""What goes out about a shop's customers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tidings.fields import Output


class ShopCustomerOut(Output):
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
