"""Many jobs for one call of a processor, and their completion in one call of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from tidings.engine.worker.concluding import Conclusions, RateLimitError, is_in_doubt
from tidings.engine.worker.fetching import Fetcher
from tidings.engine.worker.scripts import QueueScripts, removed_at_once

MOST = 100
"""Jobs that are completed in one call, as it keeps the server from everybody else."""


class Batch:
    """What a worker with the option `batch` gives its processor: the jobs that are not ended yet, in their order.

    The processor may end each of them when it likes, with `complete` or `fail`. What is left when it returns
    is completed with what it returned, or fails with what it raised.
    """

    def __init__(
        self,
        jobs: Sequence[Any],
        *,
        complete: Callable[[Any, object], None],
        end: Callable[[Any, BaseException], None],
    ) -> None:
        self._jobs = {job.id: job for job in jobs}
        self._complete = complete
        self._end = end
        self._ended: asyncio.Future[None] | None = None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._jobs.values())

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job: Any) -> bool:
        return self._jobs.get(job.id) is job

    def complete(self, job: Any, result: object = None) -> None:
        """The job is done, with a result that is JSON. Raises KeyError, as `fail` does, when it has ended already."""
        self._take(job)
        self._complete(job, result)

    def fail(self, job: Any, error: BaseException) -> None:
        """The job failed. As with an error that a processor raises for one job, it is tried again if it has attempts
        left, unless that is an UnrecoverableError; after DelayedError, WaitingChildrenError and RateLimitError it is
        where they say."""
        self._take(job)
        self._end(job, error)

    def give_up(self) -> list[Any]:
        """What is not ended, and cannot be any more: another worker will find it."""
        left = list(self)
        self._jobs.clear()
        return left

    def fail_all(self, error: BaseException) -> None:
        """All that are not ended failed. Those that go back to the front of the queue keep their order."""
        jobs = list(self)
        for job in reversed(jobs) if isinstance(error, RateLimitError) else jobs:
            self.fail(job, error)

    async def ended(self) -> None:
        """Waits until no job is left."""
        if self._jobs:
            self._ended = asyncio.get_running_loop().create_future()
            await self._ended

    def _take(self, job: Any) -> None:
        del self._jobs[job.id]
        if not self._jobs and self._ended is not None and not self._ended.done():
            self._ended.set_result(None)


class Done(NamedTuple):
    """A job whose work is done, its lock token, its result as JSON and as it was given."""

    job: Any
    token: str
    value: str
    result: object


class Completions:
    """Completes together what is done in one turn of the event loop.

    `begin` starts a task. `note` is told of each job that the server has as completed. Whatever is out of the
    ordinary is left to `alone`, job by job; its second argument is whether the job may have been completed already.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        calls: QueueScripts,
        conclusions: Conclusions,
        *,
        begin: Callable[[Coroutine[Any, Any, None]], None],
        note: Callable[[Done], None],
        alone: Callable[[Done, bool], Awaitable[None]],
    ) -> None:
        self._fetcher = fetcher
        self._calls = calls
        self._conclusions = conclusions
        self._begin = begin
        self._note = note
        self._alone = alone
        self._waiting: list[Done] = []

    def add(self, done: Done) -> None:
        """Completes a job."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(done)

    def _flush(self) -> None:
        alike: dict[str, list[Done]] = {}
        for done in self._waiting:
            alike.setdefault(repr(done.job.opts.get("removeOnComplete")), []).append(done)
        self._waiting = []
        for group in alike.values():
            most = min(MOST, removed_at_once(group[0].job))
            for start in range(0, len(group), most):
                self._begin(self._complete(group[start : start + most]))

    async def _complete(self, group: list[Done]) -> None:
        *others, last = group
        if any(self._conclusions.is_lost(done.token) for done in others):
            await asyncio.gather(*(self._alone(done, False) for done in group))
            return
        now = int(self._fetcher.clock.milliseconds())
        call = self._calls.complete_many([done[:3] for done in others], now) if others else None
        reply = self._fetcher.pipe.run(*call) if call else None
        await self._alone(last, False)  # it travels with the others, and sees to the queue after them
        if reply is None:
            return
        left: list[tuple[Done, bool]] = []
        try:
            for done, answer in zip(others, await reply, strict=True):
                if answer == 0:
                    done.job.finishedOn = now
                    self._note(done)
                else:
                    left.append((done, False))
        except (RedisError, OSError) as error:
            left = [(done, is_in_doubt(error)) for done in others]
        await asyncio.gather(*(self._alone(done, uncertain) for done, uncertain in left))
