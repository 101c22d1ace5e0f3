"""A worker of a market as a process of its own, to be killed: its arguments are database, Redis, prefix and sink."""

from __future__ import annotations

import asyncio
import signal
import sys

from shops.market import Market, real_time
from tidings import log
from tidings.providers.http import HttpClient
from tidings.providers.n8n import N8n


async def main(database_url: str, redis_url: str, prefix: str, sink_url: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Market(
        database_url, redis_url, prefix, **real_time(provider=N8n(HttpClient(timeout=1.0), sink_url))
    ) as market:
        await market.work_all(lock_duration=1.0)
        await stop.wait()


if __name__ == "__main__":
    log.configure(level="ERROR", json=True)
    asyncio.run(main(*sys.argv[1:]))
