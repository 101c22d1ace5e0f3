"""What a Redis holds, to be compared."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis


async def contents(redis: Redis, prefix: str) -> dict[str, Any]:
    """Every key of the queue: its type and what it holds."""
    keys = await redis.keys(f"{prefix}:*")
    asking, reading = redis.pipeline(transaction=False), redis.pipeline(transaction=False)
    for key in keys:
        asking.type(key)
    kinds = await asking.execute()
    for key, kind in zip(keys, kinds, strict=True):
        match kind:
            case "hash":
                reading.hgetall(key)
            case "zset":
                reading.zrange(key, 0, -1, withscores=True)
            case "list":
                reading.lrange(key, 0, -1)
            case "set":
                reading.smembers(key)
            case "stream":
                reading.xrange(key)
            case _:
                reading.get(key)
    found: dict[str, Any] = {}
    held: Any
    for key, kind, held in zip(keys, kinds, await reading.execute(), strict=True):
        if kind == "stream":
            held = [fields for _, fields in held]  # whose ids are times
        elif kind == "set":
            held = sorted(held)
        found[key.removeprefix(prefix)] = (kind, held)
    return found
