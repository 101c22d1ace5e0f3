"""Works on jobs that were fetched: calls the processor, and has concluded what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from bullmq.custom_errors import DelayedError, UnrecoverableError, WaitingChildrenError

from tidings.engine.worker.batch import Batch, Completions, Done
from tidings.engine.worker.concluding import Conclusions, RateLimitError
from tidings.engine.worker.fetching import Fetcher, Next
from tidings.engine.worker.scripts import QueueScripts, to_json

_MOVED = (DelayedError, WaitingChildrenError)  # raised by a processor that has moved its job itself


class Processing:
    """The jobs that one worker works on, each alone or, with the option `batch`, many in one call.

    `advance` adds the next job of the scheduler that made a job.
    """

    def __init__(
        self,
        worker: Any,
        fetcher: Fetcher,
        conclusions: Conclusions,
        calls: QueueScripts,
        *,
        advance: Callable[[Any], Awaitable[None]],
    ) -> None:
        self._worker = worker
        self._fetcher = fetcher
        self._conclusions = conclusions
        self._advance = advance
        self._completions = Completions(
            fetcher, calls, conclusions, begin=self._begin, note=self._note_completed, alone=self._alone
        )

    def start(self, jobs: Sequence[Any]) -> None:
        """Works on jobs that were fetched together."""
        if self._worker.opts.get("batch"):
            self._begin(self._work_on_many(jobs))
        else:
            (job,) = jobs
            self._begin(self._work(job, job.token))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._worker.processing.add(task)
        task.add_done_callback(self._worker.processing.discard)

    # One job

    async def _work(self, job: Any, token: str) -> None:
        worker = self._worker
        controller = worker.lockManager.track_job(
            job.id, token, int(time.time() * 1000), should_create_controller=worker._processor_wants_signal
        )
        try:
            if job.repeatJobKey:
                await self._advance(job)
            worker.emit("active", job, "waiting")
            try:
                self._refuse_if_doomed(job)
                signal = (controller.signal,) if controller else ()
                result = await worker.processor(job, token, *signal)
                value = _result_to_json(result)
            except BaseException as error:
                following = await self._end(job, token, error)
            else:
                following = await self._complete(job, token, result, value)
            self._fetcher.go_on(following)
        except asyncio.CancelledError:
            self._fetcher.use_again()
            raise
        except Exception as error:  # the job could not be concluded; its lock decides what becomes of it
            self._fetcher.use_again()
            worker.complain(error)
        finally:
            self._forget(job, token)

    async def _end(self, job: Any, token: str, error: BaseException) -> Next | None:
        """Concludes a job whose processor raised this."""
        if isinstance(error, _MOVED):
            return None
        if isinstance(error, RateLimitError):
            return await self._conclusions.give_back(job, token)
        if isinstance(error, asyncio.CancelledError):
            if self._worker.forceClosing or _is_cancelled():
                raise error
            # Something that the processor waited for was cancelled, not the processor.
        elif not isinstance(error, Exception):
            raise error
        following = await self._conclusions.fail(job, token, error)
        self._worker.emit("failed", job, error)
        return following

    async def _complete(
        self, job: Any, token: str, result: object, value: str, *, uncertain: bool = False
    ) -> Next | None:
        try:
            following = await self._conclusions.complete(job, token, value, uncertain=uncertain)
        except UnrecoverableError as error:
            return await self._end(job, token, error)
        job.returnvalue = result
        self._worker.emit("completed", job, result)
        return following

    def _refuse_if_doomed(self, job: Any) -> None:
        options = self._worker.opts
        for option in ("removeOnComplete", "removeOnFail"):
            if option not in job.opts and option in options:
                job.opts[option] = options[option]
        if job.deferredFailure:
            raise UnrecoverableError(job.deferredFailure)
        most = options.get("maxStartedAttempts")
        if most and most < job.attemptsStarted:
            raise UnrecoverableError("job started more than allowable limit")

    def _forget(self, job: Any, token: str) -> None:
        self._conclusions.forget(token)
        locks = self._worker.lockManager
        if locks.token_of(job.id) == token:  # else another run of the same job is under way here
            locks.untrack_job(job.id)

    # Many jobs

    async def _work_on_many(self, jobs: Sequence[Any]) -> None:
        worker, moment = self._worker, int(time.time() * 1000)
        batch = Batch(jobs, complete=self._complete_soon, end=self._end_soon)
        for job in jobs:
            worker.lockManager.track_job(job.id, job.token, moment, should_create_controller=False)
        try:
            for job in jobs:
                if job.repeatJobKey:
                    await self._advance(job)
                worker.emit("active", job, "waiting")
                try:
                    self._refuse_if_doomed(job)
                except UnrecoverableError as error:
                    batch.fail(job, error)
            if batch:
                answer = await worker.processor(batch)
                for job in list(batch):
                    batch.complete(job, answer)
        except asyncio.CancelledError as error:
            if worker.forceClosing or _is_cancelled():
                for job in batch.give_up():
                    self._leave(job)
                raise
            batch.fail_all(error)
        except Exception as error:
            batch.fail_all(error)

    def _complete_soon(self, job: Any, result: object) -> None:
        try:
            value = _result_to_json(result)
        except UnrecoverableError as error:
            self._end_soon(job, error)
        else:
            self._completions.add(Done(job, job.token, value, result))

    def _end_soon(self, job: Any, error: BaseException) -> None:
        self._begin(self._conclude(job, partial(self._end, job, job.token, error)))

    def _note_completed(self, done: Done) -> None:
        job = done.job
        job.returnvalue = done.result
        job.attemptsMade += 1
        self._worker.emit("completed", job, done.result)
        self._leave(job)

    def _alone(self, done: Done, uncertain: bool) -> Awaitable[None]:
        end = partial(self._complete, done.job, done.token, done.result, done.value, uncertain=uncertain)
        return self._conclude(done.job, end)

    async def _conclude(self, job: Any, end: Callable[[], Awaitable[Next | None]]) -> None:
        following: Next | None = None
        try:
            following = await end()
        except Exception as error:  # the job could not be concluded; its lock decides what becomes of it
            self._worker.complain(error)
        finally:
            self._forget(job, job.token)
            self._fetcher.go_on(following)

    def _leave(self, job: Any) -> None:
        self._forget(job, job.token)
        self._fetcher.use_again()


def _result_to_json(result: object) -> str:
    try:
        return to_json(result)
    except (TypeError, ValueError, RecursionError) as error:
        # The work is done, only its result cannot be kept: to do it again would help nobody.
        raise UnrecoverableError(f"the processor's result is not JSON: {error}") from error


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
