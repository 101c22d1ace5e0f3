"""Markets that close when their test ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from shops.market import Market, OpenMarket


@pytest.fixture
async def open_market(settings_for: Callable[..., Any], database_url: str) -> AsyncIterator[OpenMarket]:
    async with AsyncExitStack() as stack:

        async def open_one(**options: Any) -> Market:
            settings = settings_for()
            market = Market(database_url, settings.redis_url, settings.redis_prefix, **options)
            return await stack.enter_async_context(market)

        yield open_one


@pytest.fixture
async def market(open_market: OpenMarket) -> Market:
    """One whose clock stands still at noon in New York, and where nobody works."""
    return await open_market()
