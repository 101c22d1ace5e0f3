"""Keeps the slots of a worker busy: knows when to ask for a job, asks, and makes a job of the reply.

Every empty reply tells when the next delayed job is due, and a timer is set for it. BullMQ's marker, which the
second connection waits for, tells of new work and of work due earlier. Neither is trusted for longer than MAX_WAIT.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, Protocol

from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import RedisError

from tidings.engine.worker.job import make_job
from tidings.engine.worker.pipeline import Pipeline, seen
from tidings.engine.worker.scripts import QueueScripts, read_job
from tidings.engine.worker.server_clock import ServerClock

MAX_WAIT = 2.0
"""Longest wait in seconds before the queue is looked at again, whatever happened to its marker."""
RETRY_WAIT = 1.0
"""Seconds after which a server that refused, or is away, is asked again, at most."""
CLOSING_PATIENCE = 5.0
"""Seconds that a closing worker waits for a server that is away."""
CLOCK_CHECK = 10.0  # seconds between two looks at the server's clock
_FINE = 0.0011  # seconds; asyncio's timers are late by up to a millisecond, so the last bit is waited out in turns


class Owner(Protocol):
    """What is asked of the worker that the jobs are for."""

    opts: dict[str, Any]
    drained: bool
    closing: bool
    paused: bool
    running: bool

    def start(self, job: Any, token: str) -> None:
        """Works on a job; `Fetcher.take`, `use_again` or `free` follows for its slot."""

    def emit(self, event: str, *arguments: Any) -> None:
        """Tells the listeners of an event."""

    def complain(self, error: BaseException) -> None:
        """Emits an error, though not the same again and again."""


class Next(NamedTuple):
    """A reply that may bring a job, the lock token it was asked for with, and `Fetcher.news` of that moment."""

    reply: Any
    token: str
    news: int


class Fetcher:
    """The slots of one worker. A slot is held by a job, by a fetch, or by a fetch whose reply was lost: there are
    never more of these than the worker's concurrency."""

    def __init__(self, owner: Owner, client: Any, keys: dict[str, str], calls: QueueScripts, *, name: str) -> None:
        self.pipe = Pipeline(client, name=name)
        self.clock = ServerClock()
        self.news = 0  # how often something said that there may be work
        self._owner = owner
        self._keys = keys
        self._calls = calls
        self._bell = Pipeline(client, name=name, longest=MAX_WAIT)
        self._bell_id: int | None = None
        self._held = 0
        self._freed = asyncio.Event()
        self._fetching = 0
        self._streak = 0  # fetches in a row that brought a job
        self._due = 0.0  # epoch milliseconds of the next delayed job; 0 when there is none
        self._not_before = 0.0  # by the loop's clock: the end of a rate limit, or of a server's refusal
        self._alarm: asyncio.Handle | None = None
        self._may_listen = asyncio.Event()
        self._lost: set[str] = set()  # tokens of fetches whose reply was lost
        self._concluding = 0  # conclusions under way that may bring a job
        self._unstarted: list[tuple[Any, str]] = []
        self._handing_back: asyncio.Task[None] | None = None

    # Asking

    def look(self) -> None:
        """Something says that there may be work."""
        self.news += 1
        if self._fetching == 0 and self._may_fetch():
            self._fetch()
        else:
            self._rest()

    def go_on(self, following: Next | None) -> None:
        """The job of a slot has gone: the slot takes what came instead of it, or fetches another."""
        if following is None:
            self.use_again()
        else:
            self.take(*following)

    def use_again(self) -> None:
        """The job of a slot has gone: the slot fetches another."""
        self.free()
        if self._may_fetch():
            self._fetch()
        else:
            self._rest()
            self._leave_room()

    def free(self) -> None:
        """The job of a slot has gone."""
        self._held -= 1
        self._freed.set()
        if self._unstarted:
            self._hand_back_if_closed()

    def begin_conclusion(self) -> bool:
        """Whether the round trip that concludes a job may bring its slot another; `end_conclusion` follows."""
        self._concluding += 1
        return self._is_open and self._held <= self._concurrency

    def end_conclusion(self, fetched: bool) -> None:
        """The reply is there, or will never be; `take`, `use_again` or `free` follows for the slot."""
        self._concluding -= 1
        if not fetched:
            self._leave_room()

    def limit(self, milliseconds: float) -> None:
        """The queue is rate limited for so long."""
        # The server drops the fraction of what is left of a limit.
        self._not_before = asyncio.get_running_loop().time() + (milliseconds + 1) / 1000
        self._rest()

    def _fetch(self) -> None:
        self._held += 1
        self._fetching += 1
        token = self._calls.new_token()
        reply = self.pipe.run(*self._calls.fetch(token, int(self.clock.milliseconds())))
        reply.add_done_callback(partial(self._fetched, token, self.news))
        if self._held >= self._concurrency:
            self._may_listen.clear()

    def _may_fetch(self) -> bool:
        return (
            self._is_open
            and self._held < self._concurrency
            and self.pipe.up.is_set()
            and self._not_before <= asyncio.get_running_loop().time()
        )

    @property
    def _is_open(self) -> bool:
        owner = self._owner
        return owner.running and not owner.closing and not owner.paused

    @property
    def _concurrency(self) -> int:
        concurrency: int = self._owner.opts["concurrency"]
        return concurrency

    # Taking what comes

    def _fetched(self, token: str, news: int, reply: asyncio.Future[Any]) -> None:
        error = reply.exception()
        if isinstance(error, ConnectionLost):
            self._lost.add(token)  # the slot stays with it until it is known what the server did
            return
        self._fetching -= 1
        if error is not None:
            self.free()
            self._refused(error)
        elif self.take(reply.result(), token, news):
            # One at first, as it may have to promote a thousand jobs; while they keep coming, two for each.
            self._streak += 1
            for _ in range(min(self._streak, 2)):
                if self._may_fetch():
                    self._fetch()

    def take(self, reply: Any, token: str, news: int) -> bool:
        """Puts a slot to work on the job of a reply, or frees it; `news` is from when the reply was asked for."""
        fields, job_id, limited, due = read_job(reply)
        if fields is not None:
            self._owner.drained = False
            self._start(make_job(self._owner, fields, job_id), token)
            return True
        self.free()
        self._streak = 0
        self._due = due
        if limited:
            self.limit(limited)
        elif news < self.news and self._fetching == 0 and self._may_fetch():
            self._fetch()  # what was heard of in between may have come after this reply
        else:
            self._not_before = 0.0
            self._rest()
        if not self._owner.drained:
            self._owner.drained = True
            self._owner.emit("drained")
        return False

    def _start(self, job: Any, token: str) -> None:
        job.token = token
        if self._is_open:
            self._owner.start(job, token)
            return
        self._unstarted.append((job, token))
        self._hand_back_if_closed()

    def _refused(self, error: BaseException) -> None:
        self._owner.complain(error)
        if "READONLY" in str(error):  # it was a primary once: the way to the new one starts with a new connection
            self.pipe.give_up(str(error))
        self._not_before = asyncio.get_running_loop().time() + RETRY_WAIT
        self._rest()

    # Waiting

    def _rest(self) -> None:
        """Sees to it that the next job is noticed at its time."""
        self._cancel_alarm()
        if not self._is_open or self._held >= self._concurrency:
            self._may_listen.clear()
            return
        loop = asyncio.get_running_loop()
        limited = self._not_before - loop.time()
        if limited > 0:
            self._may_listen.clear()  # a marker that cannot be followed is left to those who can
            self._alarm = loop.call_later(min(limited, MAX_WAIT), self._limit_is_over)
            return
        self._may_listen.set()
        if self._due:
            wait = (self._due - self.clock.milliseconds()) / 1000
            ring = self._is_due
            self._alarm = loop.call_later(wait - _FINE, ring) if wait > _FINE else loop.call_soon(ring)

    def _limit_is_over(self) -> None:
        self._alarm = None
        self._not_before = 0.0
        self.look()

    def _is_due(self) -> None:
        self._alarm = None
        if self._due > self.clock.milliseconds():
            self._rest()
        else:
            self.look()

    def _cancel_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    async def listen(self) -> None:
        """Waits for markers, for as long as the worker runs."""
        while True:
            await self._may_listen.wait()
            try:
                if not self._bell.up.is_set():
                    await self._bell.open()
                    self._bell_id = await self._bell.send("CLIENT", "ID")
                popped = await self._bell.send("BZPOPMIN", self._keys["marker"], MAX_WAIT)
            except Exception as error:  # whatever it is, the next marker must be waited for
                self._owner.complain(error)
                if not isinstance(error, ConnectionLost):  # loading, or a replica now: another way may lead elsewhere
                    self._bell.give_up(str(error))
                self._bell_id = None
                await asyncio.sleep(RETRY_WAIT / 4)
                continue
            if popped is None:
                self.look()
            elif not self._may_listen.is_set():
                with suppress(RedisError, OSError):
                    await self.pass_marker_on()
            elif (due := float(popped[2])) > self.clock.milliseconds():
                self._due = min(self._due or due, due)
                self._rest()
            else:
                self.look()

    def _leave_room(self) -> None:
        """A job has ended here, and nothing was fetched in its place: another worker may have been waiting for that,
        when the queue's concurrency is limited."""
        if self.pipe.up.is_set():
            self.pass_marker_on().add_done_callback(seen)

    def pass_marker_on(self) -> asyncio.Future[Any]:
        """Wakes whoever waits for the marker of this queue."""
        return self.pipe.send("ZADD", self._keys["marker"], 0, "0")

    # Coming and going

    async def stay_connected(self) -> None:
        """Connects, and connects again, for as long as the worker runs."""
        attempts = 0
        while True:
            try:
                await self.pipe.open()
                await self.clock.set(self.pipe)
                await self._adopt_lost()
                attempts = 0
                self._not_before = 0.0
                self.look()
                while True:
                    try:
                        async with asyncio.timeout(CLOCK_CHECK):
                            await self.pipe.down.wait()
                        break
                    except TimeoutError:
                        await self.clock.correct(self.pipe)
            except Exception as error:  # whatever it is, the worker must not be left without a connection
                self._owner.complain(error)
                if not isinstance(error, ConnectionLost):
                    self.pipe.give_up(str(error))
                await asyncio.sleep(min(0.05 * 2**attempts, RETRY_WAIT))
                attempts += 1

    async def locked_by(self, tokens: Collection[str]) -> dict[str, list[Any]]:
        """For each of these tokens the job that it locks, if any, as a fetch would have answered it.

        A fetch whose reply was lost may have been carried out, and only its lock tells of which job.
        Raises what `Pipeline.send` raises.
        """
        prefix = self._keys[""]
        active = await self.pipe.send("LRANGE", self._keys["active"], 0, -1)
        locks = await self.pipe.send("MGET", *(f"{prefix}{job_id}:lock" for job_id in active)) if active else []
        owned = {lock: job_id for job_id, lock in zip(active, locks, strict=True) if lock in tokens}
        fields = await asyncio.gather(*(self.pipe.send("HGETALL", prefix + job_id) for job_id in owned.values()))
        return {token: [of_job, owned[token]] for token, of_job in zip(owned, fields, strict=True)}

    async def _adopt_lost(self) -> None:
        tokens = list(self._lost)
        found = await self.locked_by(tokens) if tokens else {}
        for token in tokens:
            self._lost.discard(token)
            self._fetching -= 1
            self.take(found.get(token), token, self.news)

    async def stop(self) -> None:
        """Fetches no more; the owner is closing or paused."""
        self._rest()
        if self._owner.running and self.pipe.up.is_set():
            with suppress(RedisError, OSError):
                # The wait for a marker is ended rather than cut off: cut off, it might yet swallow one.
                if self._bell_id is not None:
                    self.pipe.send("CLIENT", "UNBLOCK", self._bell_id).add_done_callback(seen)
                await self.pass_marker_on()  # nobody else may know the next due time

    async def settle(self) -> None:
        """Waits until no slot is held: jobs have ended, and what was not started has been handed back.

        A slot whose reply was lost is waited for as long as CLOSING_PATIENCE when the server is away.
        """
        away = 0.0
        while self._held and not (away >= CLOSING_PATIENCE and self._held == len(self._lost)):
            self._freed.clear()
            try:
                async with asyncio.timeout(RETRY_WAIT):
                    await self._freed.wait()
            except TimeoutError:
                away = 0.0 if self.pipe.up.is_set() else away + RETRY_WAIT

    async def disconnect(self) -> None:
        """Drops both connections; fetches under way are forgotten."""
        if self._handing_back is not None:
            self._handing_back.cancel()
        self._cancel_alarm()
        await self.pipe.close()
        await self._bell.close()

    def _hand_back_if_closed(self) -> None:
        # Only when all that is on its way has come, as their order must be kept.
        if self._unstarted and self._handing_back is None and self._fetching + self._concluding == len(self._lost):
            self._handing_back = asyncio.ensure_future(self._hand_back())

    async def _hand_back(self) -> None:
        unstarted, self._unstarted = self._unstarted, []
        replies = [self.pipe.run(*self._calls.give_back(job.id, token)) for job, token in reversed(unstarted)]
        replies += [self.pipe.send(*command) for command in self._calls.keep_order([job for job, _ in unstarted])]
        for error in await asyncio.gather(*replies, return_exceptions=True):
            if isinstance(error, Exception):
                self._owner.complain(error)
        self._handing_back = None
        for _ in unstarted:
            self.free()
