"""When the next recipients of a shop's campaigns are called for: once those on their way leave room for a chunk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.engine.jobs import Job
from tidings.features.shops.campaigns.jobs import release_job
from tidings.features.shops.campaigns.recipients import count_under_way
from tidings.messages.kind import Ended

CHUNK = 25
"""Recipients that are released at once."""

MOST_UNDER_WAY = 2 * CHUNK
"""Recipients of one shop that may be released and unfinished."""


async def releases_after(connection: AsyncConnection, ended: Sequence[Ended], now: datetime) -> list[Job]:
    """The looks that endings call for: at each shop that has room for a whole chunk now.

    To be called from `MessageKind.on_ended`. Two transactions that do not see each other's endings may both find too
    little room only while more than one chunk is under way; then a later ending finds it.
    """
    by_shop: defaultdict[int, list[Ended]] = defaultdict(list)
    for one in ended:
        if one.message.row["campaign_id"] is not None:
            by_shop[one.message.row["shop_id"]].append(one)
    jobs = []
    for shop_id, theirs in by_shop.items():
        campaign_ids = sorted({one.message.row["campaign_id"] for one in theirs})
        if await count_under_way(connection, campaign_ids, now) <= MOST_UNDER_WAY - CHUNK:
            jobs.append(release_job(shop_id, str(max(one.message.id for one in theirs))))
    return jobs
