"""Shops and their keys: what a shop's key opens, what it does not, and what the database knows of secrets."""

from __future__ import annotations

import httpx
from sqlalchemy import text

from shops.rules.payloads import SHOP
from shops.storefront import OWNERS_KEY, SECRET, OpenStorefront, Storefront
from tidings.features.shops.models import Shop

OTHER = "other.myshopify.com"


async def test_a_shops_key_opens_what_is_below_its_domain_and_nothing_else(open_storefront: OpenStorefront) -> None:
    store = await open_storefront()
    key = await store.shop()
    await store.shop(OTHER)
    mine = f"/shops/{SHOP}"
    for path in (mine, f"{mine}/automations", f"{mine}/messages", f"{mine}/events", f"/shops/{SHOP.upper()}"):
        assert (await store.api("GET", path, key=key)).status_code == 200, path
    bearer = {"Authorization": f"Bearer {key}"}
    assert (await store.http.get(mine, headers=bearer)).status_code == 200
    for path in ("/shops", "/dead-letters", "/openapi.json", "/jobs/events/x", "/nowhere", "/shopsx"):
        assert (await store.api("GET", path, key=key)).status_code == 403, path
    strange = f"/shops/{OTHER}"
    unknown = "/shops/nobody.myshopify.com"
    for path in (strange, f"{strange}/automations", f"{strange}/nonsense", unknown, "/shops/", f"/shops/x/{SHOP}"):
        refused = await store.http.get(httpx.URL(store.http.base_url.join(path)), headers=bearer)
        assert refused.status_code == 404, path
    there, nowhere = await store.api("GET", strange, key=key), await store.api("GET", unknown, key=key)
    assert there.json()["type"] == nowhere.json()["type"]
    assert there.json()["detail"] == nowhere.json()["detail"].replace("nobody.myshopify.com", OTHER)
    assert (await store.api("DELETE", f"{strange}/automations/x", key=key)).status_code == 404
    assert (await store.api("POST", "/shops", {"domain": "new.myshopify.com"}, key=key)).status_code == 403


async def test_the_installations_key_opens_every_shop_and_a_wrong_one_none(open_storefront: OpenStorefront) -> None:
    store = await open_storefront()
    key = await store.shop()
    await store.shop(OTHER)
    for path in ("/shops", f"/shops/{SHOP}", f"/shops/{OTHER}"):
        assert (await store.api("GET", path, key=OWNERS_KEY)).status_code == 200
        for wrong in (None, "", "tds_wrong", key + "x", key[:-1], key.lower()):
            assert (await store.api("GET", path, key=wrong)).status_code == 401, wrong
    both = {"Authorization": f"Bearer {OWNERS_KEY}", "X-API-Key": key}
    assert (await store.http.get("/shops", headers=both)).status_code == 200
    assert (await store.http.get(f"/shops/{SHOP}", headers={"X-API-Key": b"\xff\xfe"})).status_code == 401


async def test_without_a_key_of_the_installation_a_shops_key_still_sees_that_shop_alone(
    open_storefront: OpenStorefront,
) -> None:
    store = await open_storefront(api_key=None)
    key = await store.shop()
    await store.shop(OTHER)
    assert (await store.api("GET", f"/shops/{SHOP}", key=key)).status_code == 200
    assert (await store.api("GET", f"/shops/{OTHER}", key=key)).status_code == 404
    assert (await store.api("GET", "/shops", key=key)).status_code == 403
    assert (await store.api("GET", "/shops", key="unknown")).status_code == 200, "as on this machine"
    rebound = {"X-API-Key": key, "Host": "evil.example"}
    assert (await store.http.get(f"/shops/{SHOP}", headers=rebound)).status_code == 421


async def test_a_rotated_key_replaces_the_one_before_at_once(open_storefront: OpenStorefront) -> None:
    store = await open_storefront()
    old = await store.shop()
    new = (await store.api("POST", f"/shops/{SHOP}/api-key", key=old)).json()["api_key"]
    assert (await store.api("GET", f"/shops/{SHOP}", key=old)).status_code == 401
    assert (await store.api("GET", f"/shops/{SHOP}", key=new)).status_code == 200


async def test_a_rotated_secret_and_the_one_before_both_count_until_the_old_one_is_forgotten(
    store: Storefront,
) -> None:
    path = f"/shops/{SHOP}/webhook-secret"
    assert (await store.api("PUT", path, {"webhook_secret": "the second secret"})).status_code == 200
    for secret, status in ((SECRET, 200), ("the second secret", 200), ("no secret of ours", 401)):
        assert (await store.tell("orders_create", secret=secret)).status_code == status, secret
    again = {"webhook_secret": "the third secret", "forget_previous": True}
    assert (await store.api("PUT", path, again)).status_code == 200
    for secret, status in ((SECRET, 401), ("the second secret", 401), ("the third secret", 200)):
        assert (await store.tell("orders_create", secret=secret)).status_code == status, secret


async def test_no_secret_and_no_key_stands_in_the_database_or_in_an_answer(open_storefront: OpenStorefront) -> None:
    store = await open_storefront()
    created = await store.api(
        "POST",
        "/shops",
        {"domain": SHOP, "name": "Blossom", "webhook_secret": SECRET, "mitto_api_key": "mitto-key-1"},
    )
    assert created.status_code == 201
    key = created.json()["api_key"]
    async with store.work.read() as session:
        stored = str((await session.execute(text("SELECT * FROM shops"))).all())
    shown = str(created.json()["shop"]) + (await store.api("GET", f"/shops/{SHOP}")).text
    for secret in (SECRET, "mitto-key-1", key):
        assert secret not in stored
    for secret in (SECRET, "mitto-key-1", "webhook_secret", "callback"):
        assert secret not in shown
    assert created.json()["shop"]["has_mitto_api_key"] is True
    [shop] = await store.all(Shop)
    swapped = shop.mitto_api_key
    async with store.work.begin() as unit:
        (await unit.session.get(Shop, shop.id)).webhook_secret = swapped  # type: ignore[union-attr]
    for secret in (SECRET, "mitto-key-1"):
        refused = await store.tell("orders_create", secret=secret)
        assert refused.status_code == 401, "a sealed text opens in its own place only"


async def test_a_shop_is_changed_field_by_field_and_mistakes_are_named(open_storefront: OpenStorefront) -> None:
    store = await open_storefront()
    key = await store.shop()
    path = f"/shops/{SHOP}"
    changed = await store.api("PATCH", path, {"name": "Blossom & Co", "sms_prices": {"+49": "0.075"}}, key=key)
    assert (changed.json()["name"], changed.json()["sms_prices"]) == ("Blossom & Co", {"+49": "0.075"})
    assert changed.json()["timezone"] == "America/Detroit"
    for wrong, field in (
        ({"name": None}, "name"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"currency": "dollars"}, "currency"),
        ({"sender": "a name that is far too long"}, "sender"),
        ({"sms_prices": {"XX": "1"}}, "sms_prices.XX"),
        ({"default_price": "cheap"}, "default_price"),
        ({"domain": "other.example"}, "domain"),
    ):
        refused = await store.api("PATCH", path, wrong)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field), refused.text


async def test_a_shop_is_added_once_and_under_its_domain_alone(open_storefront: OpenStorefront) -> None:
    store = await open_storefront()
    wanted = {"domain": " Blossom.MyShopify.com ", "name": "Blossom", "webhook_secret": SECRET}
    created = (await store.api("POST", "/shops", wanted)).json()["shop"]
    assert created["domain"] == "blossom.myshopify.com"
    assert (await store.api("POST", "/shops", wanted)).status_code == 409
    for domain in ("blossom", "https://blossom.myshopify.com", "a b.com", "x" * 300 + ".com", ""):
        assert (await store.api("POST", "/shops", wanted | {"domain": domain})).status_code == 422, domain
    assert (await store.api("POST", "/shops", wanted | {"presets": ["nonsense"]})).status_code == 422
