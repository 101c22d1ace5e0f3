"""What comes round for shops by itself, as soon as there is a worker."""

from __future__ import annotations

from shops.storefront import Storefront
from support.workshop import eventually

SCHEDULES = {
    "events": {"shop-events-catch-up"},
    "campaigns": {"campaigns-upkeep"},
    "housekeeping": {"housekeeping-rollup", "housekeeping-retry", "housekeeping-cleanup"},
}


async def test_lost_events_campaigns_and_housekeeping_are_looked_after_without_being_asked(store: Storefront) -> None:
    for queue, ids in SCHEDULES.items():

        async def are_put_up(queue: str = queue, ids: set[str] = ids) -> bool:
            return set(await store.redis.zrange(f"{store.prefix}:{queue}:repeat", 0, -1)) == ids

        await eventually(are_put_up)
        await eventually(lambda queue=queue: have_run(store, queue, 1))
    await eventually(lambda: have_run(store, "housekeeping", 3))
    for queue in SCHEDULES:
        assert (await store.queues.stats(queue)).failed == 0


async def have_run(store: Storefront, queue: str, count: int) -> bool:
    return (await store.queues.stats(queue)).completed >= count
