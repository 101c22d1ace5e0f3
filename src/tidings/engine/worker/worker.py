"""A drop-in `bullmq.Worker`: on time to the millisecond, and as fast as Redis can serve it.

The story of a job: something says that there may be work, and a free slot fetches (`fetching.py`); the job of the
reply is worked on (`processing.py`); it is concluded, and the same round trip brings the slot its next job
(`concluding.py`). Everything travels on one connection, in the order in which it was said (`pipeline.py`).

With the option `batch` many jobs are fetched in one call, worked on in one call of the processor, and completed in
one call (`batch.py`).
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import bullmq
from bullmq.backends import RedisBackend
from bullmq.utils import is_redis_cluster
from redis.exceptions import RedisError

from tidings.engine.worker.concluding import Conclusions, RateLimitError, is_passing
from tidings.engine.worker.fetching import Fetcher
from tidings.engine.worker.locks import Locks
from tidings.engine.worker.processing import Processing
from tidings.engine.worker.scripts import QueueScripts, Script, load_scripts, read_job
from tidings.engine.worker.server_clock import in_server_time
from tidings.engine.worker.waiting import RETRY_WAIT
from tidings.errors import ConfigurationError


class Worker(bullmq.Worker):  # type: ignore[misc]
    """Processes the jobs of one queue; constructor, options and events are those of `bullmq.Worker`.

    Beyond the stock Python worker it has what Node's has: `rateLimit` and `RateLimitError`, a `concurrency` that can
    be changed, the options `metrics`, `maxStartedAttempts`, `skipStalledCheck` and `skipLockRenewal`, jitter in
    backoffs, and the events `drained` and `closing`. With the option `batch`, a number, its processor gets up to so
    many jobs at once, as a `Batch`; `concurrency` still counts jobs. Raises ConfigurationError when the installed
    bullmq is not the known one, ValueError for an option that is out of its range.
    """

    RateLimitError: ClassVar[type[Exception]] = RateLimitError

    closing: bool
    closed: bool
    paused: bool
    running: bool

    def __init__(self, name: str, processor: Any, opts: dict[str, Any] | None = None) -> None:
        load_scripts()
        autorun = (opts or {}).get("autorun", True)
        super().__init__(name, processor, {**(opts or {}), "autorun": False})
        self.opts["autorun"] = autorun
        _check(self.opts)
        self._over = asyncio.Event()
        self._services: set[asyncio.Task[None]] = set()
        self._last_complaint: tuple[str, float] = ("", 0.0)
        if isinstance(self.backend, RedisBackend):
            calls = QueueScripts(self.keys, self.opts, worker_id=self.id, worker_name=self.workerName)
            self._calls = calls
            self._fetcher = Fetcher(self, self.client, self.keys, calls, name=self.clientName)
            self._conclusions = Conclusions(self, self._fetcher, calls, self.keys)
            self._take_the_pipeline()
            self.lockManager = Locks(self, self.opts, lost=self._conclusions.lose_lock)
            self._processing = Processing(
                self, self._fetcher, self._conclusions, calls, advance=self._advance_scheduler
            )
        if processor and autorun:
            self._autorun = asyncio.ensure_future(self.run())

    @property
    def concurrency(self) -> int:
        """How many jobs are worked on side by side, at most. May be changed at any time."""
        return int(self.opts["concurrency"])

    @concurrency.setter
    def concurrency(self, concurrency: int) -> None:
        _check({"concurrency": concurrency})
        self.opts["concurrency"] = concurrency
        if self.running:
            self._fetcher.adjust()

    @property
    def milliseconds(self) -> float:
        """Now, in epoch milliseconds by the server's clock: what is due is due by it."""
        return self._fetcher.clock.milliseconds()

    # Running, pausing, closing

    async def run(self) -> None:
        """Works until it is closed, and waits for Redis when that is not there.

        Raises RuntimeError when it runs already, ConfigurationError for a backend other than a single Redis.
        """
        if self.running:
            raise RuntimeError("Worker is already running")
        if self.processor is None:
            raise RuntimeError("a worker without a processor cannot run: fetch its jobs with getNextJob")
        if not isinstance(self.backend, RedisBackend) or is_redis_cluster(self.client):
            raise ConfigurationError("tidings.engine.Worker needs a single Redis or Valkey; here use bullmq.Worker")
        if self.closing:
            return
        self.running = True
        if not self.opts.get("skipLockRenewal"):
            self.lockManager.start()
        self._serve(self._fetcher.stay_connected())
        self._serve(self._fetcher.waiting.listen())
        if not self.opts.get("skipStalledCheck"):
            self._serve(self._look_for_stalled_jobs())
        try:
            await self._over.wait()
        finally:
            if not self.closing:  # whoever ran us was cancelled
                self.forceClosing = self.closing = True
                self.cancelProcessing()
                await self._tear_down(force=True)
            self.running = False

    async def pause(self, do_not_wait_active: bool = False) -> None:
        """Fetches no more until `resume`; returns when running jobs have ended, unless told not to wait."""
        if not self.paused:
            self.paused = True
            if self.running:
                await self._fetcher.waiting.hush()
                if not do_not_wait_active:
                    await self._fetcher.settle()
        self.emit("paused")

    def resume(self) -> None:
        """Fetches again after `pause`."""
        if self.paused:
            self.paused = False
            if self.running:
                self._fetcher.look()
            self.emit("resumed")

    async def close(self, force: bool = False) -> None:
        """Fetches no more, lets running jobs end, hands back what was not started, and disconnects.

        With `force` running jobs are cancelled and left to another worker, which finds them when their locks expire.
        A close that is cancelled leaves the worker closing; `close(force=True)` ends it.
        """
        if self.closed:
            return
        if not self.closing:
            self.closing = True
            self.emit("closing")
        if force:
            self.forceClosing = True
            self.lockManager.cancel_all_jobs("worker force-closed")
            self.cancelProcessing()
        if self.running:
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_WAIT if force else None):
                    await self._fetcher.waiting.hush()
            if not force:
                await self._fetcher.settle()
        await self._tear_down(force)

    async def rateLimit(self, milliseconds: float) -> None:
        """Lets no worker of this queue fetch for so long, provided that the worker or the queue has a limit."""
        await self._persist(
            lambda: self._fetcher.pipe.send("SET", self.keys["limiter"], 2**53 - 1, "PX", round(milliseconds))
        )

    async def _tear_down(self, force: bool) -> None:
        if force and self.processing:
            await asyncio.wait(self.processing, timeout=RETRY_WAIT)
        if self.closed:
            return
        self.closed = True
        for service in self._services:
            service.cancel()
        await asyncio.gather(*self._services, return_exceptions=True)
        await self.lockManager.close()
        try:
            if isinstance(self.backend, RedisBackend):
                await self._fetcher.disconnect()
            await self.backend.close(force=force)
        except Exception as error:
            self.emit("error", error)
        self._over.set()
        self.emit("closed")

    def _serve(self, service: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(service)
        self._services.add(task)
        task.add_done_callback(self._services.discard)

    # Working on jobs

    def start(self, jobs: Sequence[Any]) -> None:
        """Works on jobs that were fetched; called by the fetcher."""
        self._processing.start(jobs)

    async def _advance_scheduler(self, job: Any) -> None:
        """Adds the next job of the scheduler that made this one."""
        try:
            await self._persist(lambda: self._scheduleNextIteration(job))
        except Exception as error:  # the job itself is worked on all the same
            self.emit("error", RuntimeError(f"Failed to add repeatable job for next iteration: {error}"))

    async def _look_for_stalled_jobs(self) -> None:
        interval = self.opts["stalledInterval"]
        hold_off = 1  # the first look, at start, must not keep others from theirs
        while True:
            await self._fetcher.pipe.up.wait()
            try:
                for job_id in await self.backend.moveStalledJobsToWait(self.opts["maxStalledCount"], hold_off):
                    self.emit("stalled", job_id)
            except (RedisError, OSError) as error:
                self.complain(error)
            hold_off = interval
            await asyncio.sleep(interval / 1000)

    # Fetching by hand, as `getNextJob` does

    async def moveToActive(self, token: str) -> Any:
        """The next job, locked with `token`, or None."""
        reply = await self._persist(
            lambda: self._fetcher.pipe.run(*self._calls.fetch(token, int(self._fetcher.clock.milliseconds())))
        )
        return await self.nextJobFromJobData(*read_job(reply), token)

    # Events and errors

    def emit(self, event_name: str, *args: Any, **kwargs: Any) -> None:
        """Tells the listeners of an event. A listener that fails is an `error` event, and harms no job."""
        for listener in self._callbacks.get(event_name, ()):
            try:
                listener(*args, **kwargs)
            except Exception as error:
                if event_name == "error":
                    traceback.print_exc()
                else:
                    self.emit("error", error)

    def complain(self, error: BaseException) -> None:
        """Emits an error, though the same one only once a second."""
        text, at = self._last_complaint
        now = time.monotonic()
        if str(error) != text or now - at >= RETRY_WAIT:
            self._last_complaint = (str(error), now)
            self.emit("error", error)

    async def _persist(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Asks until the server is in a state to answer, for as long as the worker is not closing."""
        while True:
            try:
                await self._fetcher.pipe.open()
                return await ask()
            except (RedisError, OSError) as error:
                if not is_passing(error) or self.closing:
                    raise
                self.complain(error)
                await asyncio.sleep(RETRY_WAIT / 4)

    def _take_the_pipeline(self) -> None:
        """Lets progress, data, delays and schedulers of jobs travel on the pipeline with everything else."""
        for name, registered in self.scripts.commands.items():
            script = Script(name, registered.script, registered.sha)
            self.scripts.commands[name] = _Pipelined(self, script, registered)

    async def run_script(self, script: Script, keys: list[Any], arguments: list[Any]) -> Any:
        """Runs one of BullMQ's scripts on the pipeline."""
        told = in_server_time(script.name, arguments, self._fetcher.clock.ahead)
        return await self._persist(lambda: self._fetcher.pipe.run(script, (len(keys), *keys, *told)))


class _Pipelined:
    """A script as bullmq's `Scripts` calls it."""

    def __init__(self, worker: Worker, script: Script, registered: Any) -> None:
        self._worker, self._script, self._registered = worker, script, registered

    def __call__(self, keys: Any = (), args: Any = (), client: Any = None) -> Awaitable[Any]:
        if client is not None:  # part of a transaction
            return self._registered(keys=keys, args=args, client=client)  # type: ignore[no-any-return]
        return self._worker.run_script(self._script, list(keys), list(args))


_LEAST = {
    "concurrency": 1,
    "batch": 1,
    "lockDuration": 1,
    "lockRenewTime": 0,
    "stalledInterval": 1,
    "maxStalledCount": 0,
    "maxStartedAttempts": 0,
}


def _check(options: Mapping[str, Any]) -> None:
    for name, least in _LEAST.items():
        value = options.get(name, least)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
            raise ValueError(f"the worker's option {name} must be a number of at least {least}, not {value!r}")
    for name in ("concurrency", "batch"):
        if not isinstance(options.get(name, 1), int):
            raise ValueError(f"the worker's option {name} must be a whole number, not {options[name]!r}")
