"""How far recovery has come, and whose turn it is to recover.

It is kept in Redis beside the jobs, so that it is lost together with them, and every process goes on where the last
one stopped.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.asyncio import Redis

from tidings.engine.redis import answering
from tidings.errors import QueueUnavailable
from tidings.log import get_logger

log = get_logger(__name__)

_TURN = 10_000
"""Milliseconds after which the turn of a process that is not heard of ends."""

_NOTE = """
if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call("PEXPIRE", KEYS[1], ARGV[2])
for place = 3, #ARGV, 2 do
  if ARGV[place + 1] == "" then
    redis.call("HDEL", KEYS[2], ARGV[place])
  else
    redis.call("HSET", KEYS[2], ARGV[place], ARGV[place + 1])
  end
end
return 1
"""

_END = """
if redis.call("GET", KEYS[1]) == ARGV[1] then
  redis.call("DEL", KEYS[1])
end
"""

_COMPLETE = "complete"


class TurnLost(Exception):
    """Redis was emptied meanwhile, or another process has taken over: what was to be noted is not."""


class Progress:
    """The record of one installation. Redis failures are raised as QueueUnavailable."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._record, self._lock, self._tick = (
            f"{prefix}:tidings:recovery{end}" for end in ("", ":turn", ":checked")
        )
        self._note, self._end = redis.register_script(_NOTE), redis.register_script(_END)

    async def look(self) -> tuple[bool, bool]:
        """Whether Redis was emptied since `Turn.complete`, and whether the time for the next check has come."""
        async with answering(), self._redis.pipeline(transaction=False) as pipe:
            pipe.hexists(self._record, _COMPLETE)
            pipe.exists(self._tick)
            complete, checked = await pipe.execute()
        return not complete, not checked

    @asynccontextmanager
    async def turn(self, *, next_check: float) -> AsyncIterator[Turn | None]:
        """The right of this process to recover, None when another one has it; the next check is due in so many
        seconds.

        A lost turn ends without an error: whoever has it now does the rest.
        """
        token = secrets.token_hex(8)
        async with answering():
            if await self._redis.set(self._lock, token, nx=True, px=_TURN):
                notes: Any = await self._redis.hgetall(self._record)
                is_due = bool(await self._redis.set(self._tick, 1, nx=True, px=max(round(next_check * 1000), 1)))
            else:
                notes = None
        if notes is None:
            yield None
            return

        async def note(fields: Mapping[str, str]) -> None:
            arguments = [part for field in fields.items() for part in field]
            async with answering():
                if not await self._note(keys=[self._lock, self._record], args=[token, _TURN, *arguments]):
                    raise TurnLost

        try:
            yield Turn(notes, note, is_due=is_due)
        except TurnLost:
            log.info("another process recovers, or Redis was emptied")
        finally:
            with suppress(QueueUnavailable):  # then it ends by itself
                async with answering():
                    await self._end(keys=[self._lock], args=[token])


class Turn:
    """One process's turn, with what was noted before. `is_due`: the next check is, and this turn is to do it.

    Every method raises TurnLost when the turn is over.
    """

    def __init__(
        self, notes: Mapping[str, str], note: Callable[[Mapping[str, str]], Awaitable[None]], *, is_due: bool
    ) -> None:
        self.notes = dict(notes)
        self.is_due = is_due
        self._note = note

    @property
    def is_complete(self) -> bool:
        """Whether every row has had its job since Redis was last emptied."""
        return bool(self.notes.get(_COMPLETE))

    async def note(self, notes: Mapping[str, str]) -> None:
        """Keeps notes for whoever comes next (an empty one is forgotten), and the turn for another while."""
        await self._note(notes)
        self.notes.update(notes)

    async def forget(self) -> None:
        """Everything is to be done from the start."""
        await self.note(dict.fromkeys(self.notes, ""))

    async def complete(self) -> None:
        """Every row has its job now."""
        await self.note({_COMPLETE: "1"})
