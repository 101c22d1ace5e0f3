"""Topics that a shop tells and nobody uses: acknowledged, so that Shopify keeps the subscription, and counted."""

from __future__ import annotations

from functools import partial

from sqlalchemy import select

from tidings.features.shops.lookup import find_shop
from tidings.features.shops.models import ShopIgnoredTopic
from tidings.features.shops.schemas import MAX_TOPIC
from tidings.log import get_logger
from tidings.messages.dead_letters import storable_json
from tidings.work import Unit, Work

log = get_logger(__name__)

MOST = 200
"""Topics of a shop that are counted apart; Shopify has fewer."""


def why_ignored(topic: str) -> str:
    """Why nothing comes of a topic, for whoever has subscribed to it."""
    return (
        f"the topic {topic[:MAX_TOPIC]} is not one that is understood, so nothing comes of it; unsubscribe from it, "
        "or leave it"
    )


async def count_ignored(work: Work, domain: str, topic: str) -> None:
    """Counts a webhook of a topic that nobody uses. Raises NotFound for an unknown shop."""
    # Another webhook of the same topic may come at this moment.
    if await work.retry(partial(_count, work, domain, storable_json(topic[:MAX_TOPIC]))) == 1:
        log.warning("webhooks of a topic that is not understood", shop=domain, topic=topic[:MAX_TOPIC])


async def _count(work: Work, domain: str, topic: str, unit: Unit) -> int:
    now = work.clock.now()
    session = unit.session
    shop = await find_shop(session, domain)
    mine = select(ShopIgnoredTopic).where(ShopIgnoredTopic.shop_id == shop.id)
    row = await session.scalar(mine.where(ShopIgnoredTopic.topic == topic).with_for_update(key_share=True))
    if row is None:
        if len((await session.scalars(mine.limit(MOST))).all()) == MOST:
            return 0
        row = ShopIgnoredTopic(shop_id=shop.id, topic=topic, count=0, first_at=now)
        session.add(row)
    row.count, row.last_at = row.count + 1, now
    await session.flush()
    return row.count
