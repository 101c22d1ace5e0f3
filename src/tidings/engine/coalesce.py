"""Many small requests, one batched call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Gatherer(Generic[Item]):
    """Gathers items into calls of `run`.

    Items that are in no hurry may wait for company, others go out in the same turn of the event loop; and while
    `in_flight` batches are under way the next one fills up, to at most `limit` items. When a batch of
    several fails as a whole, each item is tried alone, so one bad item spoils no other, unless `alike` says of the
    error that it would meet each of them; `failed` is told of each that failed so.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[None]],
        *,
        failed: Callable[[Item, Exception], None],
        alike: Callable[[Exception], bool] = lambda error: False,
        limit: int = 200,
        in_flight: int = 1,
    ) -> None:
        self._run = run
        self._failed = failed
        self._alike = alike
        self._limit = limit
        self._free = in_flight
        self._waiting: deque[Item] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flush_planned = False
        self._alarm: asyncio.TimerHandle | None = None

    def add(self, items: Iterable[Item], patience: float = 0.0, *, enough: int | None = None) -> None:
        """They wait for company for at most `patience` seconds, or until so many wait that they are `enough`."""
        self._waiting.extend(items)
        if patience and len(self._waiting) < min(enough or self._limit, self._limit):
            if self._alarm is None and not self._flush_planned:
                self._alarm = asyncio.get_running_loop().call_later(patience, self._flush)
        elif not self._flush_planned:
            self._flush_planned = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_planned = False
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        while self._free and self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._limit))]
            self._free -= 1
            task = asyncio.ensure_future(self._execute(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _execute(self, batch: Sequence[Item]) -> None:
        try:
            await self._try(batch)
        finally:
            self._free += 1
            if self._alarm is None or len(self._waiting) >= self._limit:
                self._flush()

    async def _try(self, batch: Sequence[Item]) -> None:
        try:
            await self._run(batch)
        except Exception as error:
            if len(batch) == 1 or self._alike(error):
                for item in batch:
                    self._failed(item, error)
            else:
                for item in batch:
                    await self._try([item])


class Coalescer(Generic[Item, Result]):
    """Many concurrent awaits, gathered into calls of `run`, which answers item by item."""

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        limit: int = 200,
        in_flight: int = 1,
    ) -> None:
        self._run = run
        self._gatherer: Gatherer[tuple[Item, asyncio.Future[Result]]] = Gatherer(
            self._answer, failed=_fail, limit=limit, in_flight=in_flight
        )

    def __call__(self, item: Item) -> asyncio.Future[Result]:
        """The result for `item`. Fails as `run` did."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._gatherer.add([(item, future)])
        return future

    async def _answer(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        asked = [(item, future) for item, future in batch if not future.done()]  # others' callers were cancelled
        if not asked:
            return
        try:
            results = await self._run([item for item, _ in asked])
            answers = list(zip(asked, results, strict=True))
        except asyncio.CancelledError:
            for _, future in asked:
                future.cancel()
            raise
        for (_, future), result in answers:
            if not future.done():
                future.set_result(result)


def _fail(asked: tuple[object, asyncio.Future[Result]], error: Exception) -> None:
    if not asked[1].done():
        asked[1].set_exception(error)
