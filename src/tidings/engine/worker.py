"""A drop-in `bullmq.Worker` that starts jobs at their time.

The stock worker waits for its next job inside Redis (BZPOPMIN with a time-out), and Redis looks at blocked
clients' time-outs only on its cron tick; a rate-limited stock worker sleeps a fixed drain delay. Here the due
time that every empty fetch reports arms a local timer, BZPOPMIN is only the wake-up for new work, and
a reached rate limit is slept out to its own end.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import suppress
from typing import Any

import bullmq
from redis.exceptions import RedisError

MAX_WAIT = 2.0
"""Longest wait in seconds before the queue is looked at again, whatever happened to its marker."""


class Worker(bullmq.Worker):  # type: ignore[misc]
    """Processes the jobs of one queue; constructor, options and events are those of `bullmq.Worker`."""

    def __init__(self, name: str, processor: Any, opts: dict[str, Any] | None = None) -> None:
        super().__init__(name, processor, {"runRetryDelay": 1000, **(opts or {})})
        self._due = 0  # epoch milliseconds of the next delayed job; 0 when there is none
        self._limited_until = 0.0  # by the monotonic clock
        self._fetches = itertools.count(1)
        self._newest_answer = 0
        self._listening: asyncio.Task[None] | None = None
        self._listens = False
        self._starting = asyncio.Lock()
        self._closing = asyncio.Event()
        fetch = self.scripts.commands["moveToActive"]

        async def fetch_what_is_due(keys: list[str], args: list[Any]) -> Any:
            # BullMQ rounds the present moment, which lets jobs go up to half a millisecond early.
            return await fetch(keys=keys, args=[args[0], int(time.time() * 1000), *args[2:]])

        self.scripts.commands["moveToActive"] = fetch_what_is_due

    async def run(self) -> None:
        """Works until it is closed. Waits for Redis when it is not there yet."""
        async with self._starting:
            while not self._closing.is_set():
                # A worker that starts after a crash looks at once for what its predecessor left behind.
                await self.runStalledJobsCheck()
                try:
                    await self._ensure_client_names()
                    break
                except (RedisError, OSError):  # the check has emitted the error
                    await self._wait(self.opts["runRetryDelay"] / 1000)
        if not self._closing.is_set():
            await super().run()

    async def close(self, force: bool = False) -> None:
        """Stops fetching, lets running jobs end, and disconnects; `force` leaves them to another worker.

        The stock worker stops renewing locks here, abandons jobs of fetches that are under way, and cannot
        be hurried: it holds up the cancellation of a close.
        """
        if self.closed:
            return
        self._closing.set()
        async with self._starting:
            self.opts["concurrency"] = 0
        while not force and self.running and self.processing:
            await asyncio.wait(self.processing, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0)  # the run loop's turn: a finished fetch becomes a running job
        self.closing = True
        while self._listening and not self._listening.done():
            self._listening.cancel()  # again and again: redis-py swallows it while it connects
            await asyncio.wait({self._listening}, timeout=0.05)
        with suppress(RedisError, OSError):
            await self._pass_on_marker()  # nobody else may know the next due time
        await super().close(force)

    async def getNextJob(self, token: str) -> Any:
        if self.drained and self.waiting:  # one look at an empty queue is enough, however many slots are free
            await asyncio.wait({self.waiting})
            return None
        return await super().getNextJob(token)

    async def moveToActive(self, token: str) -> Any:
        if self._closing.is_set():
            return None
        number = next(self._fetches)
        data, job_id, limited, due = await self.backend.moveToActive(token, self.opts)
        if not data and number > self._newest_answer:  # answers may overtake one another
            self._newest_answer = number
            self._due = int(due or 0)
            self._limited_until = time.monotonic() + max(int(limited or 0), 0) / 1000
        return await self.nextJobFromJobData(data, job_id, limited or 0, due or 0, token)

    async def waitForJob(self) -> int:
        """Waits until it is worth fetching, and answers 0, for now.

        A marker says only that something has changed; what is due when, only a fetch knows.
        """
        limited = self._limited_until - time.monotonic()
        rest = self._due / 1000 - time.time() if self._due else MAX_WAIT
        if limited > 0:
            await self._wait(min(limited, MAX_WAIT))
        elif rest > 0:
            if self._listening is None or self._listening.done():
                self._listening = asyncio.ensure_future(self._listen())
            self._listens = True
            try:
                await self._wait(min(rest, MAX_WAIT + 1), self._listening)
            finally:
                self._listens = False
            if self._listening.done() and not self._listening.cancelled():
                self._listening.result()
        return 0

    async def _listen(self) -> None:
        """Takes the queue's marker, in a read that nobody cancels when a job's time comes first.

        Cancelled, the read would cost a connection, and now and then live on and swallow a marker.
        """
        try:
            popped = await self.bclient.bzpopmin(self.keys["marker"], MAX_WAIT)
            if popped and not self._listens:
                await self._pass_on_marker()
        except (RedisError, OSError):
            if self._listens:
                raise

    async def _pass_on_marker(self) -> None:
        await self.client.zadd(self.keys["marker"], {"0": 0})

    async def _wait(self, seconds: float, *events: asyncio.Future[Any]) -> None:
        """Waits for one of the events, at most `seconds`, and not on when the worker is to close."""
        closing: asyncio.Future[Any] = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({closing, *events}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closing.cancel()
