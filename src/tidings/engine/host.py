"""Runs the workers of one process: typed handlers in, structured logs out."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from bullmq.custom_errors import DelayedError, UnrecoverableError
from pydantic import ValidationError
from redis.asyncio import Redis

from tidings.clock import Clock, SystemClock
from tidings.engine.jobs import DeadJob, GiveUpJob, Handler, PostponeJob, Run
from tidings.engine.policy import QueuePolicy
from tidings.engine.queues import Queues
from tidings.engine.slots import Slots
from tidings.engine.worker import Worker
from tidings.errors import TidingsError
from tidings.log import get_logger, new_request_id, work_on

log = get_logger(__name__)


OnDeadLetter = Callable[[DeadJob], Awaitable[object]]
"""What is done about a job that has failed for good, before BullMQ is told so."""


class WorkerHost:
    """The workers of one process. `connect` opens a fresh Redis client, one for each worker.

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
        self._reports: set[asyncio.Task[None]] = set()

    def start(self, policy: QueuePolicy, handlers: Sequence[Handler[Any]]) -> None:
        """Starts working on one queue; jobs are told apart by their kind."""
        by_name = {handler.job_type.name: handler for handler in handlers}
        slots = Slots(policy.concurrency)

        async def process(job: Any, token: str) -> Any:
            return await self._process(policy, by_name, slots, job, token)

        options: dict[str, Any] = {
            "connection": self._connect(),
            "name": secrets.token_hex(8),
            "prefix": self._prefix,
            "concurrency": policy.concurrency,
            "lockDuration": self._lock_milliseconds,
            "stalledInterval": self._lock_milliseconds,
            "maxStalledCount": 10,
            "autorun": False,
        }
        if policy.rate_limit:
            options["limiter"] = {
                "max": policy.rate_limit.max,
                "duration": round(policy.rate_limit.seconds * 1000),
            }
        worker = Worker(policy.name, process, options)
        worker.on("error", lambda error, *_: log.error("worker error", queue=policy.name, error=str(error)))
        worker.on("stalled", lambda job_id: log.warning("job stalled", queue=policy.name, job_id=job_id))
        worker.on("failed", lambda job, error: self._note_unseen(policy, job, error))
        if all(handler.ahead for handler in handlers):
            slots.on_change = lambda: _prepare_ahead(worker, slots)
            _prepare_ahead(worker, slots)
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
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await asyncio.gather(*self._reports)

    async def _process(
        self, policy: QueuePolicy, by_name: dict[str, Handler[Any]], slots: Slots, job: Any, token: str
    ) -> Any:
        run = _run_of(policy, slots, job)
        work_on(policy.name, run.job_id, run.attempt, run.request_id)  # each job is worked on in a task of its own
        started = time.perf_counter()
        handler = by_name.get(job.name)
        try:
            result = await self._handle(handler, job, run)
        except PostponeJob as postponed:
            await job.moveToDelayed(self._queues.due_milliseconds(postponed.until), token)
            log.info("job postponed", until=postponed.until.isoformat(), duration_ms=_since(started))
            raise DelayedError from postponed
        except GiveUpJob as error:
            log.warning("job failed", error=str(error), final=True, duration_ms=_since(started))
            await self._report_dead(policy, job, error, run)
            raise UnrecoverableError(str(error)) from error
        except Exception as error:
            log.warning(
                "job failed",
                error=str(error),
                final=run.last,
                duration_ms=_since(started),
                exc_info=not isinstance(error, TidingsError),
            )
            if run.last:
                await self._report_dead(policy, job, error, run)
            raise
        if handler is not None and not handler.ahead:  # who prepares ahead tells of many jobs in one line
            log.info("job completed", result=result, duration_ms=_since(started))
        return result

    def _note_unseen(self, policy: QueuePolicy, job: Any, error: BaseException) -> None:
        """A job that stalled too often fails without ever getting to `_process`."""
        if job.deferredFailure:
            run = _run_of(policy, Slots(policy.concurrency), job)
            report = asyncio.ensure_future(self._report_dead(policy, job, error, run))
            self._reports.add(report)
            report.add_done_callback(self._reports.discard)

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
            priority=job.opts.get("priority") or 0,
        )
        try:
            await self._on_dead_letter(dead)
        except Exception:
            log.exception("dead letter not kept", queue=policy.name, job_id=run.job_id)

    async def _handle(self, handler: Handler[Any] | None, job: Any, run: Run) -> object:
        if handler is None:
            raise GiveUpJob(f"no handler for jobs named {job.name!r} in this queue")
        try:
            data = handler.job_type.model.model_validate(job.data)
        except ValidationError as error:
            first = error.errors()[0]
            path = ".".join(str(part) for part in first["loc"])
            sentence = f"{path}: {first['msg']}" if path else first["msg"]
            raise GiveUpJob(f"the job's data is unusable: {sentence}") from error
        return await handler.handle(data, run)


def _prepare_ahead(worker: Worker, slots: Slots) -> None:
    """Has the worker fetch as many jobs as the slots will soon have room for."""
    worker.concurrency = slots.limit + slots.ahead


def _run_of(policy: QueuePolicy, slots: Slots, job: Any) -> Run:
    request_id = job.data.get("requestId") if isinstance(job.data, dict) else None
    return Run(
        job_id=job.id,
        attempt=job.attemptsMade + 1,
        attempts=job.opts.get("attempts", 1),
        request_id=request_id if isinstance(request_id, str) and request_id else new_request_id(),
        queue=policy,
        slots=slots,
    )


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
