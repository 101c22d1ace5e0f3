"""Many concurrent awaits, one batched call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Coalescer(Generic[Item, Result]):
    """Gathers the items of concurrent callers into calls of `run`, which answers item by item.

    An item that is in no hurry may wait for company, others go out in the same turn of the event loop; and while
    `in_flight` batches are under way the next one fills up, to at most `limit` items. When a batch of
    several fails as a whole, each item is tried alone, so one bad item spoils no other.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        limit: int = 200,
        in_flight: int = 1,
    ) -> None:
        self._run = run
        self._limit = limit
        self._free = in_flight
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flush_planned = False
        self._alarm: asyncio.TimerHandle | None = None

    def __call__(self, item: Item, patience: float = 0.0, *, enough: int | None = None) -> asyncio.Future[Result]:
        """The result for `item`. Fails as `run` did.

        It waits for company for at most `patience` seconds, or until so many wait that they are `enough`.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        if patience and len(self._waiting) < min(enough or self._limit, self._limit):
            if self._alarm is None and not self._flush_planned:
                self._alarm = loop.call_later(patience, self._flush)
        elif not self._flush_planned:
            self._flush_planned = True
            loop.call_soon(self._flush)
        return future

    def _flush(self) -> None:
        self._flush_planned = False
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        while self._free and self._waiting:
            batch: list[tuple[Item, asyncio.Future[Result]]] = []
            while self._waiting and len(batch) < self._limit:
                item, future = self._waiting.popleft()
                if not future.done():  # its caller was cancelled
                    batch.append((item, future))
            if not batch:
                return
            self._free -= 1
            task = asyncio.ensure_future(self._execute(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _execute(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            await self._answer(batch)
        finally:
            self._free += 1
            if self._alarm is None or len(self._waiting) >= self._limit:
                self._flush()

    async def _answer(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._run([item for item, _ in batch])
            answers = list(zip(batch, results, strict=True))
        except Exception as error:
            if len(batch) > 1:
                for single in batch:
                    await self._answer([single])
            elif not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        except BaseException:
            for _, future in batch:
                future.cancel()
            raise
        for (_, future), result in answers:
            if not future.done():
                future.set_result(result)
