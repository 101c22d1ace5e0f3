"""Runs the workers of one process: typed handlers in, structured logs out."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from bullmq.custom_errors import DelayedError, UnrecoverableError
from pydantic import ValidationError
from redis.asyncio import Redis

from tidings.clock import Clock, SystemClock
from tidings.engine.jobs import (
    AnyHandler,
    BatchHandler,
    DeadJob,
    GiveUpJob,
    Handler,
    HeldJob,
    PostponeJob,
    Run,
    comes_again,
)
from tidings.engine.policy import QueuePolicy
from tidings.engine.queues import Queues
from tidings.engine.slots import Slots
from tidings.engine.worker import Batch, Worker
from tidings.errors import QueueUnavailable, TidingsError
from tidings.log import get_logger, work_on

log = get_logger(__name__)


BATCH = 100
"""Jobs that a batch handler is given at once, at most: to fetch them keeps Redis from everybody else."""

STALLED_CHECKS = 3
"""Looks for the jobs of workers that died, while a lock lasts."""

OnDeadLetter = Callable[[DeadJob], Awaitable[object]]
"""What is done about a job that has failed for good, before BullMQ is told so."""


class WorkerHost:
    """The workers of one process. `connect` opens a fresh Redis client, one for each worker.

    A job whose worker died is taken by another one within `lock_duration` seconds and a third of them more. A worker
    that lives renews its locks while half of that time is left.

    `on_dead_letter` is awaited for every job that fails for good, with `clock`'s time; what goes wrong in it is
    logged and changes nothing for the job.
    """

    def __init__(
        self,
        queues: Queues,
        connect: Callable[[], Redis],
        *,
        prefix: str,
        lock_duration: float,
        on_dead_letter: OnDeadLetter | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._queues = queues
        self._on_dead_letter = on_dead_letter
        self._clock = clock or SystemClock()
        self._connect = connect
        self._prefix = prefix
        self._lock_milliseconds = round(lock_duration * 1000)
        self._workers: dict[str, Worker] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._slots: list[Slots] = []
        self._reports: set[asyncio.Task[None]] = set()

    def start(self, policy: QueuePolicy, handlers: Sequence[AnyHandler]) -> None:
        """Starts working on one queue; jobs are told apart by their kind."""
        named = _Named(handlers)
        slots = Slots(policy.concurrency)
        in_batches = [isinstance(handler, BatchHandler) for handler in handlers]

        async def process(job: Any, token: str) -> Any:
            return await self._process(policy, named, slots, job, token)

        async def process_many(batch: Batch) -> None:
            await self._process_many(policy, named, slots, batch)

        options: dict[str, Any] = {
            "connection": self._connect(),
            "name": secrets.token_hex(8),
            "prefix": self._prefix,
            "concurrency": policy.concurrency,
            "lockDuration": self._lock_milliseconds,
            "stalledInterval": max(self._lock_milliseconds // STALLED_CHECKS, 1),
            "maxStalledCount": 10,
            "autorun": False,
            **policy.retention,
        }
        if policy.rate_limit:
            options["limiter"] = {
                "max": policy.rate_limit.max,
                "duration": round(policy.rate_limit.seconds * 1000),
            }
        if any(in_batches):
            options["batch"] = BATCH
        worker = Worker(policy.name, process_many if any(in_batches) else process, options)
        worker.on("error", lambda error, *_: log.error("worker error", queue=policy.name, error=str(error)))
        worker.on("stalled", lambda job_id: log.warning("job stalled", queue=policy.name, job_id=job_id))
        worker.on("failed", lambda job, error: self._note_unseen(policy, job, error))
        if all(in_batches):
            slots.on_change = lambda: _prepare_ahead(worker, slots)
            _prepare_ahead(worker, slots)
        self._slots.append(slots)
        self._workers[policy.name] = worker
        self._running[policy.name] = asyncio.ensure_future(worker.run())
        log.info("worker ready", queue=policy.name, concurrency=policy.concurrency, rate_limit=options.get("limiter"))

    def status(self) -> list[tuple[str, bool]]:
        """Name and liveness of every worker of this process."""
        return [(name, not task.done()) for name, task in self._running.items()]

    async def close(self, grace: float = 15.0) -> None:
        """Stops fetching and lets running jobs end; after `grace` seconds they are left to another worker."""

        async def stop(worker: Worker) -> None:
            try:
                await asyncio.wait_for(worker.close(), grace)
            except TimeoutError:
                await worker.close(force=True)

        await asyncio.gather(*(stop(worker) for worker in self._workers.values()))
        for slots in self._slots:
            slots.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await asyncio.gather(*self._reports)

    async def _process(self, policy: QueuePolicy, named: _Named, slots: Slots, job: Any, token: str) -> Any:
        run = _run_of(policy, slots, job)
        work_on(policy.name, run.job_id, run.attempt, run.request_id)  # each job is worked on in a task of its own
        started = time.perf_counter()
        try:
            handler, data = named.read(job)
            result = await handler.handle(data, run)
        except Exception as error:
            told = await self._tell(policy, job, run, started, error)
            if told is error:
                raise
            raise told from error
        log.info("job completed", result=result, duration_ms=_since(started))
        return result

    async def _process_many(self, policy: QueuePolicy, named: _Named, slots: Slots, batch: Batch) -> None:
        held: dict[str, tuple[Any, list[HeldJob[Any]]]] = {}
        unanswered = {job.id for job in batch}
        started = time.perf_counter()
        for job in list(batch):
            run = _run_of(policy, slots, job)
            end = partial(self._end, policy, batch, unanswered, job, run, started)
            try:
                handler, data = named.read(job)
            except GiveUpJob as error:
                end(error)
            else:
                held.setdefault(handler.job_type.name, (handler, []))[1].append(HeldJob(data, run, end))
        async with asyncio.TaskGroup() as tasks:
            for handler, jobs in held.values():
                if isinstance(handler, BatchHandler):
                    await self._hand_over(handler, jobs)
                else:
                    for one in jobs:
                        tasks.create_task(self._handle(handler, one))
            await batch.ended()

    async def _hand_over(self, handler: BatchHandler[Any], jobs: Sequence[HeldJob[Any]]) -> None:
        try:
            await handler.handle(jobs)
        except (Exception, asyncio.CancelledError) as error:
            failure = _failure_of(error)
            for one in jobs:
                one.end(failure)

    async def _handle(self, handler: Handler[Any], job: HeldJob[Any]) -> None:
        """One job of a batch whose handler gets them one by one."""
        run, started = job.run, time.perf_counter()
        work_on(run.queue.name, run.job_id, run.attempt, run.request_id)
        try:
            result = await handler.handle(job.data, run)
        except (Exception, asyncio.CancelledError) as error:
            job.end(_failure_of(error))
        else:
            log.info("job completed", result=result, duration_ms=_since(started))
            job.end(result)

    def _end(
        self,
        policy: QueuePolicy,
        batch: Batch,
        unanswered: set[str],
        job: Any,
        run: Run,
        started: float,
        answer: object,
    ) -> None:
        """What came of a job of a batch; of several answers the first one counts."""
        if job.id not in unanswered or job not in batch:
            return
        unanswered.remove(job.id)
        if not isinstance(answer, Exception):
            batch.complete(job, answer)
            return
        self._later(self._fail(policy, batch, job, run, started, answer))

    async def _fail(
        self, policy: QueuePolicy, batch: Batch, job: Any, run: Run, started: float, error: Exception
    ) -> None:
        work_on(policy.name, run.job_id, run.attempt, run.request_id)
        try:
            told = await self._tell(policy, job, run, started, error)
        except Exception as failure:
            told = failure
        if job in batch:
            batch.fail(job, told)

    async def _tell(self, policy: QueuePolicy, job: Any, run: Run, started: float, error: Exception) -> Exception:
        """What BullMQ is told of a job whose handler raised this."""
        if isinstance(error, PostponeJob):
            await self._postpone(policy, job, error.until)
            say = log.debug if error.unused else log.info
            say("job postponed", until=error.until.isoformat(), duration_ms=_since(started))
            if error.unused:
                with suppress(QueueUnavailable):  # it is only less than might have been
                    await self._queues.give_back(policy.name, time.perf_counter() - started)
            moved: Exception = DelayedError()
            return moved
        if isinstance(error, GiveUpJob):
            log.warning("job failed", error=str(error), final=True, duration_ms=_since(started))
            await self._report_dead(policy, job, error, run)
            final: Exception = UnrecoverableError(str(error))
            return final
        log.warning(
            "job failed",
            error=str(error),
            final=run.last,
            duration_ms=_since(started),
            exc_info=None if isinstance(error, TidingsError) else error,
        )
        if run.last:
            await self._report_dead(policy, job, error, run)
        return error

    async def _postpone(self, policy: QueuePolicy, job: Any, until: datetime) -> None:
        """Puts a job off by as long as it is until then, by the clock that its worker goes by: one that came too
        early comes at its time, and not too early again."""
        wait = self._clock.seconds_until(until)
        now = self._workers[policy.name].milliseconds
        delay = math.ceil(now + wait * 1000 - 0.01) - int(now)
        await job.backend.moveToDelayed(job.id, int(now), max(delay, 0), job.token, {"skipAttempt": True})

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    def _note_unseen(self, policy: QueuePolicy, job: Any, error: BaseException) -> None:
        """A job that stalled too often fails without ever getting to `_process`."""
        if job.deferredFailure:
            run = _run_of(policy, Slots(policy.concurrency), job)
            self._later(self._report_dead(policy, job, error, run))

    async def _report_dead(self, policy: QueuePolicy, job: Any, error: BaseException, run: Run) -> None:
        if self._on_dead_letter is None:
            return
        dead = DeadJob(
            queue=policy.name,
            name=job.name,
            job_id=run.job_id,
            data=job.data,
            error=str(error) or type(error).__name__,
            attempts=run.attempt,
            failed_at=self._clock.now(),
            request_id=run.request_id,
            priority=run.priority,
        )
        try:
            await self._on_dead_letter(dead)
        except Exception:
            log.exception("dead letter not kept", queue=policy.name, job_id=run.job_id)


class _Named:
    """The handlers of a queue by what they handle."""

    def __init__(self, handlers: Sequence[AnyHandler]) -> None:
        self._by_name: dict[str, Any] = {handler.job_type.name: handler for handler in handlers}

    def read(self, job: Any) -> tuple[Any, Any]:
        """Who handles a job, and its data as they want it. Raises GiveUpJob when nobody does, or it is unusable."""
        handler, data = self._by_name.get(job.name), job.data
        of_another_program = isinstance(data, dict) and (handler is None or "id" not in data)
        if of_another_program:
            handler, data = self._adopt(job.name, data, [handler] if handler else self._by_name.values())
        if handler is None:
            told = ", ".join(data) if isinstance(data, dict) and data else "no data"
            known = ", ".join(self._by_name)
            raise GiveUpJob(
                f"no handler for jobs named {job.name!r} in this queue, with {told[:200]}; it takes {known[:300]}"
            )
        try:
            return handler, handler.job_type.model.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            path = ".".join(str(part) for part in first["loc"])
            sentence = f"{path}: {first['msg']}" if path else first["msg"]
            raise GiveUpJob(f"the job's data is unusable: {sentence}") from error

    def _adopt(self, name: str, data: Mapping[str, Any], handlers: Iterable[Any]) -> tuple[Any, Any]:
        """The first that takes the job for its own, with the data in its form."""
        for handler in handlers:
            adopt = handler.job_type.adopt
            adopted = adopt(name, data) if adopt else None
            if adopted is not None:
                return handler, adopted
        return self._by_name.get(name), data


def _failure_of(error: Exception | asyncio.CancelledError) -> Exception:
    """What a handler's error says of its jobs. Raises it when the handler itself was cancelled."""
    if isinstance(error, Exception):
        return error
    task = asyncio.current_task()
    if task is None or task.cancelling():
        raise error
    return RuntimeError("something that the handler waited for was cancelled")


def _prepare_ahead(worker: Worker, slots: Slots) -> None:
    """Has the worker fetch as many jobs as the slots will soon have room for."""
    worker.concurrency = slots.limit + slots.ahead


def _run_of(policy: QueuePolicy, slots: Slots, job: Any) -> Run:
    if not job.repeatJobKey:
        _fill_in(policy, job)
    return Run(
        job_id=job.id,
        attempt=job.attemptsMade + 1,
        attempts=job.opts.get("attempts", 1),
        request_id=_request_of(policy, job),
        queue=policy,
        slots=slots,
        priority=job.opts.get("priority") or 0,
    )


def _fill_in(policy: QueuePolicy, job: Any) -> None:
    """Another program's job that names no attempts has those of its queue; BullMQ writes 0 for it."""
    if not job.opts.get("attempts"):
        job.opts["attempts"] = job.attempts = policy.attempts
        job.opts["backoff"] = job.opts.get("backoff") or policy.backoff_option


def _request_of(policy: QueuePolicy, job: Any) -> str:
    """The request that a job belongs to. One that names none is a request of its own, the same at every attempt: ids
    that BullMQ counts begin anew when Redis was emptied, so the moment when it was added counts as well."""
    told = job.data if isinstance(job.data, dict) else {}
    for name in ("requestId", "xRequestId", "request_id"):
        if type(told.get(name)) in (str, int) and told[name]:
            return str(told[name])
    moment = f"-{job.timestamp}" if comes_again(job.id) else ""
    return f"{policy.name}-{job.id}{moment}"


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
