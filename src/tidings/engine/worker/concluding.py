"""What becomes of a job once its work has ended: completed, failed, to be tried again, or given back.

Until the server has said what became of it, a conclusion is repeated: after a lost connection, and while the server
loads, is a replica, or is out of memory. It is not sent any more once the job's lock has been lost.
"""

from __future__ import annotations

import asyncio
import json
import re
import traceback
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from bullmq.custom_errors import UnrecoverableError
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import RedisError, ResponseError

from tidings.engine.worker.backoff import GIVE_UP, delay_before_retry
from tidings.engine.worker.fetching import CLOSING_PATIENCE, Fetcher, Next, Owner
from tidings.engine.worker.pipeline import NotSent
from tidings.engine.worker.scripts import Call, QueueScripts
from tidings.engine.worker.waiting import RETRY_WAIT

_PASSING = re.compile(
    r"\b(LOADING|READONLY|OOM|BUSY|MISCONF|MASTERDOWN|NOREPLICAS|UNBLOCKED|TRYAGAIN|CLUSTERDOWN|NOSCRIPT)\b"
)
_MEANING = {
    -1: "it was removed",
    -2: "its lock has expired",
    -3: "it was moved away",
    -6: "another worker has it",
}  # of bullmq.error_code.ErrorCode
_FORBIDDEN = {-4: "it has children that are not done", -9: "it has at least one failed child"}
_GONE = (-1, -2, -3)  # what a conclusion finds that was carried out before


class RateLimitError(Exception):
    """Raised by a processor after `await worker.rateLimit(ms)`: the job goes back to the front of the queue, and it
    costs no attempt."""

    def __init__(self) -> None:
        super().__init__("bullmq:rateLimitExceeded")


class NotConcluded(Exception):
    """The job is not ours any more, or the server has been away for too long: another worker may find it stalled."""


def is_passing(error: BaseException) -> bool:
    """Whether an error is of the server's present state, so that the same command may do later."""
    return isinstance(error, ConnectionLost | TimeoutError | OSError) or (
        isinstance(error, ResponseError) and _PASSING.search(str(error)) is not None
    )


def is_in_doubt(error: BaseException) -> bool:
    """Whether a script that failed so may have been carried out all the same, or in part."""
    return not isinstance(error, NotSent) and (isinstance(error, ConnectionLost) or not is_passing(error))


class Conclusions:
    """Concludes the jobs of one worker, and lets each slot fetch its next job in the same round trip.

    A conclusion answers with what it brought for the slot, or None when the slot has to fetch. It raises
    NotConcluded, or the error for which the server refuses this conclusion for good.
    """

    def __init__(self, owner: Owner, fetcher: Fetcher, calls: QueueScripts, keys: Mapping[str, str]) -> None:
        self._owner = owner
        self._fetcher = fetcher
        self._calls = calls
        self._keys = keys
        self._lost_locks: set[str] = set()

    def lose_lock(self, token: str) -> None:
        """Nothing is sent any more for the job that is worked on under this token."""
        self._lost_locks.add(token)

    def forget(self, token: str) -> None:
        """The job of this token has been seen to."""
        self._lost_locks.discard(token)

    def complete(
        self, job: Any, token: str, value: str, *, uncertain: bool = False
    ) -> Coroutine[Any, Any, Next | None]:
        """Completes a job with its result as JSON; `uncertain`: unless that has been done already.

        Raises UnrecoverableError when its children forbid that.
        """

        def call(now: int, fetch_next: bool) -> Call:
            return self._calls.complete(job, token, now, value, fetch_next=fetch_next)

        return self._finish(job, token, call, uncertain=uncertain)

    async def fail(self, job: Any, token: str, error: BaseException) -> Next | None:
        """Fails a job, or has it tried again when it has attempts left and the error does not forbid it."""
        job.failedReason = str(error)
        job.stacktrace.append(_trace(error))
        limit = job.opts.get("stackTraceLimit")
        if limit is not None:
            job.stacktrace = job.stacktrace[-limit:] if limit else []
        wait = await self._wait_before_retry(job, error)
        reason = job.failedReason
        fields = {"failedReason": reason, "stacktrace": json.dumps(job.stacktrace, separators=(",", ":"))}
        if wait == GIVE_UP:
            return await self._finish(
                job,
                token,
                lambda now, fetch_next: self._calls.fail(job, token, now, reason, fields, fetch_next=fetch_next),
            )
        return await self._put_back(job, token, wait, fields)

    async def give_back(self, job: Any, token: str) -> Next | None:
        """Puts a job back to the front of the queue, which is rate limited."""
        limited = await self._repeat(job, token, lambda: self._calls.give_back(job.id, token))
        for command in self._calls.keep_order([job]):
            await self._fetcher.pipe.send(*command)
        return Next([0, 0, limited, 0], token, self._fetcher.news) if limited else None

    async def _finish(
        self, job: Any, token: str, call: Callable[[int, bool], Call], *, uncertain: bool = False
    ) -> Next | None:
        fetcher = self._fetcher
        now, news = int(fetcher.clock.milliseconds()), fetcher.news
        fetch_next = fetcher.begin_conclusion()
        try:
            reply = await self._repeat(job, token, lambda: call(now, fetch_next), uncertain=uncertain)
        finally:
            fetcher.end_conclusion()
        job.finishedOn = now
        job.attemptsMade += 1
        return Next(reply, token, news) if fetch_next else None

    async def _put_back(self, job: Any, token: str, wait: int, fields: Mapping[str, str]) -> Next | None:
        fetcher = self._fetcher
        news = fetcher.news
        fetch_next = fetcher.begin_conclusion()

        def call() -> Call:
            now = int(fetcher.clock.milliseconds())
            if wait:
                return self._calls.delay(job, token, now, wait, fields, fetch_next=fetch_next)
            return self._calls.retry(job, token, now, fields)

        try:
            reply = await self._repeat(job, token, call)
        finally:
            fetcher.end_conclusion()
        job.delay = wait
        job.attemptsMade += 1
        return Next(reply, token, news) if isinstance(reply, list) else None

    async def _wait_before_retry(self, job: Any, error: BaseException) -> int:
        if isinstance(error, UnrecoverableError) or job.discarded or job.attemptsMade + 1 >= job.opts["attempts"]:
            return GIVE_UP
        try:
            return await delay_before_retry(job, error, self._owner.opts.get("settings"))
        except Exception as failure:  # a strategy of the user's own, or an unknown one
            job.failedReason = f"{job.failedReason} (no further attempt: {failure})"
            self._owner.complain(failure)
            return GIVE_UP

    async def _repeat(self, job: Any, token: str, call: Callable[[], Call], *, uncertain: bool = False) -> Any:
        """The answer of the script; if it was lost though the script was carried out, the job that it brought."""
        while True:
            if token in self._lost_locks and not uncertain:  # else it may be the conclusion that ended the lock
                raise NotConcluded(f"the lock of job {job.id} was lost")
            try:
                reply = await self._fetcher.pipe.run(*call())
                if not isinstance(reply, int) or reply >= 0:
                    return reply
                if reply in _FORBIDDEN:  # and the job is still ours
                    raise UnrecoverableError(f"Cannot complete job {job.id}: {_FORBIDDEN[reply]}")
                if uncertain and reply in _GONE and not await self._is_active(job):
                    found = (await self._fetcher.locked_by([token])).get(token)
                    return [found[0].fields, found[0].job_id] if found else None
                raise NotConcluded(f"job {job.id} is not ours any more: {_MEANING.get(reply, reply)}")
            except (RedisError, OSError) as error:
                if not is_passing(error):
                    raise
                uncertain = uncertain or is_in_doubt(error)
                self._owner.complain(error)
                await self._wait_for_server(job, error)

    def is_lost(self, token: str) -> bool:
        """Whether the lock of the job that is worked on under this token was lost."""
        return token in self._lost_locks

    async def _is_active(self, job: Any) -> bool:
        return await self._fetcher.pipe.send("LPOS", self._keys["active"], job.id) is not None

    async def _wait_for_server(self, job: Any, error: BaseException) -> None:
        pipe = self._fetcher.pipe
        if pipe.up.is_set() and "READONLY" in str(error):
            pipe.give_up(str(error))
        if pipe.up.is_set():
            await asyncio.sleep(RETRY_WAIT / 4)
        waited = 0.0
        while not pipe.up.is_set() and waited < CLOSING_PATIENCE:
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_WAIT / 4):
                    await pipe.up.wait()
            waited = waited + RETRY_WAIT / 4 if self._owner.closing else 0.0
        if not pipe.up.is_set():
            raise NotConcluded(f"what became of job {job.id} could not be recorded: {error}") from error


def _trace(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception:  # Python parses the failing lines again for it, and that may fail, too
        return f"{type(error).__name__}: {error}"
