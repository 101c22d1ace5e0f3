"""Two shops with accounts of their own at Mitto, one installation, and people who have to do with both."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from shops.mitto import Mitto, mitto_server
from shops.storefront import OWNERS_KEY, OpenStorefront, Storefront
from tidings.features.shops.external_jobs import store_told_message
from tidings.features.shops.jobs import SendData
from tidings.messages.inbound.notices import NOTICES, Notice

AMBER, BIRCH = "amber.myshopify.com", "birch.myshopify.com"
ADA = "+12125550123"

_numbers = itertools.count(1)


class Street:
    """The shops as their owners see them: by HTTP, each with its own key, and by what leaves at Mitto."""

    def __init__(self, store: Storefront, mitto: Mitto) -> None:
        self.store = store
        self.mitto = mitto
        self.keys: dict[str, str] = {}
        self.doors: dict[str, str] = {}
        self.ids: dict[str, int] = {}

    @property
    def app(self) -> Any:
        return self.store.app

    async def open(self, domain: str, **more: Any) -> None:
        name = domain.partition(".")[0].title()
        wanted = {
            "domain": domain,
            "name": name,
            "timezone": "America/New_York",
            "webhook_secret": f"secret of {name}",
            "sender": name,
            "mitto_api_key": f"key-of-{name}",
            **more,
        }
        created = await self.store.api("POST", "/shops", wanted)
        assert created.status_code == 201, created.text
        answer = created.json()
        self.keys[domain], self.ids[domain] = answer["api_key"], answer["shop"]["id"]
        self.doors[domain] = urlsplit(answer["callback_url"]).path

    def tenant(self, domain: str) -> str:
        return f"shop:{self.ids[domain]}"

    async def ask(self, method: str, domain: str, path: str, body: Any = None, *, expect: int | None = None) -> Any:
        """A call below the shop's address with the shop's own key; its JSON."""
        answer = await self.store.api(method, f"/shops/{domain}{path}", body, key=self.keys[domain])
        assert expect is None or answer.status_code == expect, answer.text
        assert expect is not None or answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def owner(self, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
        """A call with the installation's key."""
        answer = await self.store.api(method, path, body, key=OWNERS_KEY)
        assert answer.status_code == expect, answer.text
        return answer.json()

    async def says(self, domain: str, text: str, who: str = ADA) -> httpx.Response:
        """Somebody answers the shop: Mitto tells it at the shop's own address."""
        reply = {"from": who.removeprefix("+"), "text": text, "id": f"mo-{next(_numbers)}"}
        answer = await self.store.http.post(self.doors[domain], json=reply)
        assert answer.json() == {"taken_as": "reply"}, answer.text
        return answer

    async def notices(self) -> list[tuple[str, str]]:
        """Sends what is to be answered; tenant and text of every notice there was."""
        await self.app.start_workers([NOTICES.name])
        async with asyncio.timeout(15):
            while any(row.status in ("scheduled", "sending") for row in await self.store.all(Notice)):
                await asyncio.sleep(0.01)
        await self.app.stop_workers()
        return [(row.tenant, row.text) for row in await self.store.all(Notice)]

    async def write(self, domain: str, *, purpose: str = "promotional", who: str = ADA) -> str:
        """A message of the shop is due: what becomes of it."""
        data = SendData(shop_id=domain, recipient=who, template=f"News {next(_numbers)}", purpose=purpose)
        return await self.store.deliver(await store_told_message(self.app.work, data, "request"))

    async def campaign(self, domain: str, key: str) -> dict[str, Any]:
        """A campaign to everybody goes out; what became of its recipients."""
        shops = self.app.shops
        await shops.campaigns.save(domain, key, {"name": key, "template": "{{ shop.name }}: 20% off"})
        await shops.campaigns.schedule(domain, key)
        await self.store.work_all()
        async with asyncio.timeout(20):
            while (progress := await shops.campaigns.progress(domain, key)).status != "finished":
                await asyncio.sleep(0.05)
        await self.app.stop_workers()
        return {"sent": progress.sent, **progress.reasons}


@asynccontextmanager
async def two_shops(open_storefront: OpenStorefront, **settings: Any) -> AsyncIterator[Street]:
    """Amber and Birch, each with its own account and door."""
    async with mitto_server() as mitto:
        street = Street(await open_storefront(mitto_url=mitto.url, **settings), mitto)
        for domain in (AMBER, BIRCH):
            await street.open(domain)
        yield street
