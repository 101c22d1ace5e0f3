"""Installations with shops, on both databases, closed at the test's end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from shops.market import NOON, Market, OpenMarket
from shops.provider import Provider
from shops.storefront import NOW, OWNERS_KEY, OWNERS_TOKEN, OpenStorefront, Storefront
from support.app import serving
from tidings.app import App
from tidings.clock import Clock, ManualClock
from tidings.engine.redis import connect

OpenInstallation = Callable[..., Awaitable[App]]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
def open_installation(settings_for: Callable[..., Any], database_url: str, stack: AsyncExitStack) -> OpenInstallation:
    """Opens the application as it ships, with a provider of the test's own for SMS, and other settings as given.

    Unless they say otherwise, there are no quiet hours and no frequency caps.
    """

    async def open_one(
        clock: Clock, provider: Any, queue_settings: Mapping[str, str] | None = None, **settings: Any
    ) -> App:
        values = {
            "quiet_hours": "off",
            "frequency_caps": "off",
            "http_timeout": 2.0,
            "lock_duration": 5.0,
            **settings,
        }
        app = App(
            settings_for(**{**values, "database_url": database_url, **settings}),
            clock=clock,
            providers={"sms": provider},
            queue_settings=queue_settings or {},
        )
        return await stack.enter_async_context(app)

    return open_one


@pytest.fixture
def open_storefront(open_installation: OpenInstallation, stack: AsyncExitStack) -> OpenStorefront:
    """Opens storefronts without shops; options are the clock, the provider, and settings."""

    async def open_one(*, clock: Clock | None = None, provider: Any = None, **settings: Any) -> Storefront:
        provider = provider or Provider()
        values = {
            "api_key": OWNERS_KEY,
            "mitto_callback_token": OWNERS_TOKEN,
            "public_url": "https://tidings.example",
            "max_body_bytes": 100_000,
            **settings,
        }
        app = await open_installation(clock or ManualClock(NOW), provider, **values)
        address = await stack.enter_async_context(serving(app))
        http = httpx.AsyncClient(base_url=address, trust_env=False, verify=False, timeout=30)
        redis = connect(app.redis_url)
        stack.push_async_callback(redis.aclose)
        return Storefront(app, provider, await stack.enter_async_context(http), redis)

    return open_one


@pytest.fixture
async def store(open_storefront: OpenStorefront) -> Storefront:
    """A storefront with the shop of the payloads, at work."""
    opened = await open_storefront()
    await opened.shop()
    await opened.work_all()
    return opened


@pytest.fixture
def open_market(open_installation: OpenInstallation) -> OpenMarket:
    """Opens markets without shops; options are the clock, the provider, and settings."""

    async def open_one(*, clock: Clock | None = None, provider: Any = None, **settings: Any) -> Market:
        provider = provider or Provider()
        return Market(await open_installation(clock or ManualClock(NOON), provider, **settings), provider)

    return open_one


@pytest.fixture
async def market(open_market: OpenMarket) -> Market:
    """One whose clock stands still at noon in New York, and where nobody works."""
    return await open_market()
