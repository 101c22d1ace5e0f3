"""One address for every topic, and what becomes of what nobody uses."""

from __future__ import annotations

import json
from typing import Any

from shops.rules.payloads import SHOP, payload
from shops.storefront import SECRET, Storefront
from tidings.features.shops.models import ShopWebhookEvent
from tidings.web.signatures import shopify_hmac


async def post(store: Storefront, topic: str | None, body: Any, *, secret: str = SECRET, path: str = "") -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {
        "X-Shopify-Shop-Domain": SHOP,
        "X-Shopify-Hmac-Sha256": shopify_hmac(secret, raw),
        **({"X-Shopify-Topic": topic} if topic is not None else {}),
    }
    return await store.http.post(f"/webhooks/shopify{path}", content=raw, headers=headers)


async def test_one_address_takes_every_topic_by_its_header(store: Storefront) -> None:
    await store.automation()
    for path in ("", "/"):
        body = payload("orders_create") | {"id": 5 + len(path)}
        response = await post(store, "orders/create", body, path=path)
        assert (response.status_code, response.json()) == (200, {"duplicate": False, "ignored": None})
    assert (await post(store, "refunds/create", payload("refunds_create"))).status_code == 200
    await store.settled()
    assert [row.topic for row in await store.all(ShopWebhookEvent)] == ["orders/create"] * 2 + ["refunds/create"]
    assert len(store.texts) == 2


async def test_a_topic_may_be_written_as_graphql_and_addresses_have_it(store: Storefront) -> None:
    for number, topic in enumerate(("ORDERS_CREATE", "Orders/Create", "orders_create")):
        response = await post(store, topic, payload("orders_create") | {"id": 100 + number})
        assert response.json()["ignored"] is None, topic
    assert {row.topic for row in await store.all(ShopWebhookEvent)} == {"orders/create"}


async def test_it_is_signed_as_every_webhook_is(store: Storefront) -> None:
    assert (await post(store, "orders/create", payload("orders_create"), secret="wrong")).status_code == 401
    response = await post(store, None, payload("orders_create"))
    assert response.status_code == 422
    assert "X-Shopify-Topic" in response.text
    assert await store.all(ShopWebhookEvent) == []


async def test_what_nobody_uses_is_acknowledged_counted_and_shown(store: Storefront) -> None:
    key = await store.shops.accounts.rotate_api_key(SHOP)
    for topic in ("products/update", "products/update", "carts/update", "made-up/" + "x" * 300):
        response = await post(store, topic, {"id": 7})
        assert response.status_code == 200
        assert "not one that is understood" in response.json()["ignored"]
    shown = (await store.api("GET", f"/shops/{SHOP}/ignored-topics", key=key)).json()
    assert {one["topic"]: one["count"] for one in shown} == {
        "products/update": 2,
        "carts/update": 1,
        ("made-up/" + "x" * 300)[:64]: 1,
    }
    assert all("unsubscribe" in one["reason"] for one in shown)
    assert all(one["last_at"] for one in shown)


async def test_a_new_shop_is_told_where_shopify_is_to_post(store: Storefront) -> None:
    shop = {"domain": "new.myshopify.com", "name": "New", "webhook_secret": "a secret of it"}
    created = (await store.api("POST", "/shops", shop)).json()
    assert created["webhook_url"] == "https://tidings.example/webhooks/shopify"
