"""What a Redis holds, to be compared."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis


async def contents(redis: Redis, prefix: str) -> dict[str, Any]:
    """Every key that begins so: its type and what it holds."""
    found: dict[str, Any] = {}
    async for key in redis.scan_iter(f"{prefix}:*", count=1000):
        kind = await redis.type(key)
        held: Any
        match kind:
            case "hash":
                held = await redis.hgetall(key)
            case "zset":
                held = await redis.zrange(key, 0, -1, withscores=True)
            case "list":
                held = await redis.lrange(key, 0, -1)
            case "set":
                held = sorted(await redis.smembers(key))
            case "stream":
                held = [fields for _, fields in await redis.xrange(key)]
            case _:
                held = await redis.get(key)
        found[key.removeprefix(prefix)] = (kind, held)
    return found
