"""What a shop fears most: a campaign whose worker is killed, again and again, and nobody is left out or told twice.

TIDINGS_TEST_CAMPAIGN=5000x10 kills the workers of a campaign of 5,000 recipients ten times.
"""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from shops.market import OpenMarket, assert_adds_up
from support.examples import examples
from support.programs import start_worker
from support.sink import Sink
from tidings.clock import SystemClock

pytestmark = [pytest.mark.both_databases, pytest.mark.usefixtures("left_sound")]

SIZE = os.environ.get("TIDINGS_TEST_CAMPAIGN", f"{examples(500)}x{examples(5)}")
RECIPIENTS, KILLS = (int(part) for part in SIZE.split("x"))
IN_HAND = 50
"""What one worker has in its hands at most, and may offer again when it died before it could write it down."""

VARIABLES = {"TIDINGS_QUIET_HOURS": "off", "TIDINGS_FREQUENCY_CAPS": "off"}


@pytest.mark.timeout(60 + RECIPIENTS // 10 + 12 * KILLS)
async def test_every_recipient_of_a_campaign_gets_it_exactly_once_however_often_its_workers_are_killed(
    open_market: OpenMarket,
) -> None:
    chance = random.Random(RECIPIENTS)
    market = await open_market(clock=SystemClock())
    async with Sink() as sink:
        shop = await market.shop()
        await market.customers(shop, RECIPIENTS)
        await market.campaign(shop)
        campaign = await market.shops.campaigns.schedule(shop.domain, "sale")
        for kill in range(KILLS):
            worker = start_worker(market.app, sink, **VARIABLES)
            # The first one dies while it starts, or writes the audience down; the others in the middle of sending.
            if kill:
                await sink.wait_for(min(len(sink.taken) + chance.randint(1, RECIPIENTS // KILLS), RECIPIENTS))
            await asyncio.sleep(chance.uniform(0, 0.3 if kill else 1.5))
            worker.kill()
            await worker.ended()
            assert_adds_up((await market.shops.campaigns.progress(shop.domain, "sale")).model_dump())
        last = start_worker(market.app, sink, **VARIABLES)
        progress = await market.until_over(shop.domain)
        last.terminate()
        assert await last.ended() == 0
        assert await market.counts(campaign) == {"sent": RECIPIENTS}
    assert (progress["audience"], progress["sent"]) == (RECIPIENTS, RECIPIENTS)
    assert len(sink.taken) == RECIPIENTS
    assert len({payload["phone"] for payload in sink.taken.values()}) == RECIPIENTS
    offered_again = sum(sink.requests.values()) - RECIPIENTS
    assert offered_again <= KILLS * IN_HAND, "no more than the dead workers had in their hands"
