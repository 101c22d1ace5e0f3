"""Keeps the slots of a worker busy: asks for a job, makes a job of the reply, hands back what cannot be started."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import partial
from typing import Any, NamedTuple, Protocol

from redis.exceptions import ConnectionError as ConnectionLost

from tidings.engine.worker.job import JobMaker
from tidings.engine.worker.pipeline import Pipeline
from tidings.engine.worker.scripts import QueueScripts, read_job
from tidings.engine.worker.waiting import RETRY_WAIT, Waiting

CLOSING_PATIENCE = 5.0
"""Seconds that a closing worker waits for a server that is away."""
MOST_AT_ONCE = 16  # commands in one write of a busy worker; with all slots in one, worker and server would alternate
CLOCK_CHECK = 30.0  # seconds between two looks at the server's clock


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
        self.waiting = Waiting(client, self.pipe, keys["marker"], name=name, look=self.look, complain=owner.complain)
        self.clock = self.waiting.clock
        self.news = 0  # how often something said that there may be work
        self._owner = owner
        self._jobs = JobMaker(owner)
        self._keys = keys
        self._calls = calls
        self._held = 0
        self._freed = asyncio.Event()
        self._fetching = 0
        self._streak = 0  # fetches in a row that brought a job
        self._lost: set[str] = set()  # tokens of fetches whose reply was lost
        self._concluding = 0  # conclusions under way that may bring a job
        self._unstarted: list[tuple[Any, str]] = []
        self._handing_back: asyncio.Task[None] | None = None

    # Asking

    def adjust(self) -> None:
        """The owner's concurrency is new, or has changed."""
        self.pipe.at_once = min(max(self._concurrency // 3, 1), MOST_AT_ONCE)
        self.look()

    def look(self) -> None:
        """Something says that there may be work."""
        self.news += 1
        if self._fetching:
            return  # its reply will be measured by the news
        if self._may_fetch():
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
            self.waiting.tell_others()  # when the queue's concurrency is limited, others waited for this

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

    def end_conclusion(self) -> None:
        """The reply is there, or will never be; `go_on` follows for the slot."""
        self._concluding -= 1

    def _fetch(self) -> None:
        self._held += 1
        self._fetching += 1
        token = self._calls.new_token()
        reply = self.pipe.run(*self._calls.fetch(token, int(self.clock.milliseconds())))
        reply.add_done_callback(partial(self._fetched, token, self.news))
        self.waiting.suspend(has_room=self._held < self._concurrency)

    def _may_fetch(self) -> bool:
        return self._is_open and self._held < self._concurrency and self.pipe.up.is_set() and self.waiting.is_over

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
            asyncio.get_running_loop().call_soon(self._fill)  # when the job has started

    def _fill(self) -> None:
        """Fetches for more slots: for one at first, as it may have to promote a thousand jobs; while jobs keep
        coming, for two each time."""
        self._streak += 1
        for _ in range(min(self._streak, 2)):
            if self._may_fetch():
                self._fetch()

    def take(self, reply: Any, token: str, news: int) -> bool:
        """Puts a slot to work on the job of a reply, or frees it; `news` is from when the reply was asked for."""
        fields, job_id, limited, due = read_job(reply)
        if fields is not None:
            self._owner.drained = False
            self._start(self._jobs.make(fields, job_id), token)
            return True
        self.free()
        self._streak = 0
        self.waiting.learn(due, limited)
        if news < self.news and self._fetching == 0 and self._may_fetch():
            self._fetch()  # what was heard of in between may have come after this reply
        else:
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
        self.waiting.hold_off(RETRY_WAIT)
        self._rest()

    def _rest(self) -> None:
        # Without a connection nothing can be fetched, however due it is; whoever connects again looks.
        if self._is_open and self.pipe.up.is_set():
            self.waiting.start(has_room=self._held < self._concurrency)
        else:
            self.waiting.stop()

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
                self.waiting.forget()
                self.adjust()
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
        await self.waiting.close()
        await self.pipe.close()

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
