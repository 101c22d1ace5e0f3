"""What a shop fears most: a campaign whose worker is killed, again and again, and nobody is left out or told twice.

TIDINGS_TEST_CAMPAIGN=5000x10 kills the workers of a campaign of 5,000 recipients ten times.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from shops.market import Market, assert_adds_up, real_time
from sink import Sink

RECIPIENTS, KILLS = (int(part) for part in os.environ.get("TIDINGS_TEST_CAMPAIGN", "400x3").split("x"))
IN_HAND = 50
"""What one worker has in its hands at most, and may offer again when it died before it could write it down."""


async def start_worker(database_url: str, settings: Any, sink: Sink) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "shops.campaign_process",
        database_url,
        settings.redis_url,
        settings.redis_prefix,
        sink.url,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )


@pytest.mark.timeout(60 + RECIPIENTS // 10 + 12 * KILLS)
async def test_every_recipient_of_a_campaign_gets_it_exactly_once_however_often_its_workers_are_killed(
    settings_for: Callable[..., Any], database_url: str
) -> None:
    settings = settings_for()
    chance = random.Random(RECIPIENTS)
    async with Sink() as sink, AsyncExitStack() as stack:
        market = await stack.enter_async_context(
            Market(database_url, settings.redis_url, settings.redis_prefix, **real_time())
        )
        shop = await market.shop()
        await market.customers(shop, RECIPIENTS)
        await market.campaign(shop)
        campaign = await market.shops.schedule_campaign(shop.domain, "sale")
        for kill in range(KILLS):
            worker = await start_worker(database_url, settings, sink)
            # The first one dies while it starts, or writes the audience down; the others in the middle of sending.
            if kill:
                await sink.wait_for(min(len(sink.taken) + chance.randint(1, RECIPIENTS // KILLS), RECIPIENTS))
            await asyncio.sleep(chance.uniform(0, 0.3 if kill else 1.5))
            worker.kill()
            await worker.wait()
            assert_adds_up((await market.shops.get_progress(shop.domain, "sale")).model_dump())
        last = await start_worker(database_url, settings, sink)
        progress = await market.until_over(shop.domain)
        last.terminate()
        await last.wait()
        assert await market.counts(campaign) == {"sent": RECIPIENTS}
    assert (progress["audience"], progress["sent"]) == (RECIPIENTS, RECIPIENTS)
    assert len(sink.taken) == RECIPIENTS
    assert len({payload["phone"] for payload in sink.taken.values()}) == RECIPIENTS
    offered_again = sum(sink.requests.values()) - RECIPIENTS
    assert offered_again <= KILLS * IN_HAND, "no more than the dead workers had in their hands"
