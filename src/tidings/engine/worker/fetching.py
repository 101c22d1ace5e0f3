"""Keeps the slots of a worker busy: asks for a job, makes a job of the reply, hands back what cannot be started."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from redis.exceptions import ConnectionError as ConnectionLost

from tidings.engine.worker.job import JobMaker
from tidings.engine.worker.pipeline import Pipeline
from tidings.engine.worker.scripts import QueueScripts, read_job, read_jobs
from tidings.engine.worker.waiting import RETRY_WAIT, Waiting

CLOSING_PATIENCE = 5.0
"""Seconds that a closing worker waits for a server that is away."""
MOST_AT_ONCE = 16  # commands in one write of a busy worker; with all slots in one, worker and server would alternate
CLOCK_CHECK = 30.0  # seconds between two looks at the server's clock
FIRST_BATCH = 16
"""Jobs that the first fetch of a burst takes at most, so that work on them begins; each further one takes four times
as many."""


class Owner(Protocol):
    """What is asked of the worker that the jobs are for."""

    opts: dict[str, Any]
    drained: bool
    closing: bool
    paused: bool
    running: bool

    def start(self, jobs: Sequence[Any]) -> None:
        """Works on jobs, each with its `token`; `Fetcher.go_on`, `use_again` or `free` follows for each one's slot.
        Without the option `batch` there is one at a time."""

    def emit(self, event: str, *arguments: Any) -> None:
        """Tells the listeners of an event."""

    def complain(self, error: BaseException) -> None:
        """Emits an error, though not the same again and again."""


class Next(NamedTuple):
    """A reply that may bring a job, the lock token it was asked for with, and `Fetcher.news` of that moment."""

    reply: Any
    token: str
    news: int


class Locked(NamedTuple):
    """A job that is locked by us: its fields as `HGETALL` answers them, its id, and the lock."""

    fields: list[str]
    job_id: str
    lock: str


class _Taken(NamedTuple):
    """The jobs that a reply brought, and what it says besides: see `Waiting.learn`."""

    jobs: list[Any]
    limited: int
    due: float


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
        self._batch: int = owner.opts.get("batch") or 0
        self._held = 0
        self._freed = asyncio.Event()
        self._fetching = 0
        self._streak = 0  # fetches in a row that brought all the jobs they asked for
        self._refill_planned = False
        self._lost: dict[str, int] = {}  # tokens of fetches whose reply was lost, and how many jobs they asked for
        self._concluding = 0  # conclusions under way that may bring a job
        self._unstarted: list[Any] = []
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
            self._take(self._read_one(following.reply, following.token), 1, following.news)

    def use_again(self) -> None:
        """The job of a slot has gone: the slot fetches another."""
        self.free()
        if not self._batch:
            self._refill()
        elif not self._refill_planned:  # more slots may be free by the end of this turn
            self._refill_planned = True
            asyncio.get_running_loop().call_soon(self._refill)

    def _refill(self) -> None:
        self._refill_planned = False
        if self._may_fetch():
            self._fetch()
        else:
            self._rest()
            self.waiting.tell_others()  # when the queue's concurrency is limited, others waited for this

    def free(self, slots: int = 1) -> None:
        """The job of a slot has gone."""
        self._held -= slots
        self._freed.set()
        if self._unstarted:
            self._hand_back_if_closed()

    def begin_conclusion(self) -> bool:
        """Whether the round trip that concludes a job may bring its slot another; `end_conclusion` follows."""
        self._concluding += 1
        return self._is_open and self._held <= self._concurrency and not self._batch

    def end_conclusion(self) -> None:
        """The reply is there, or will never be; `go_on` follows for the slot."""
        self._concluding -= 1

    def _fetch(self) -> None:
        jobs = self._size()
        self._held += jobs
        self._fetching += 1
        token, now = self._calls.new_token(), int(self.clock.milliseconds())
        call = self._calls.take(token, now, jobs) if self._batch else self._calls.fetch(token, now)
        self.pipe.run(*call).add_done_callback(partial(self._fetched, token, jobs, self.news))
        self.waiting.suspend(has_room=self._held < self._concurrency)

    def _size(self) -> int:
        if not self._batch:
            return 1
        most: int = min(self._batch, FIRST_BATCH * 4**self._streak if self._streak < 5 else self._batch)
        return min(most, self._concurrency - self._held)

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

    def _fetched(self, token: str, asked: int, news: int, reply: asyncio.Future[Any]) -> None:
        error = reply.exception()
        if isinstance(error, ConnectionLost):
            self._lost[token] = asked  # the slots stay with it until it is known what the server did
            return
        self._fetching -= 1
        if error is not None:
            self.free(asked)
            self._refused(error)
        elif self._take(self._read(reply.result(), token), asked, news):
            asyncio.get_running_loop().call_soon(self._fill)  # when the jobs have started

    def _fill(self) -> None:
        """Fetches for more slots: for one at first, as it may have to promote a thousand jobs; while jobs keep
        coming, for two each time."""
        self._streak += 1
        for _ in range(1 if self._batch else min(self._streak, 2)):
            if self._may_fetch():
                self._fetch()

    def _read(self, reply: Any, token: str) -> _Taken:
        if not self._batch:
            return self._read_one(reply, token)
        found, limited, due = read_jobs(reply)
        jobs = [self._made(fields, job_id, f"{token}:{place}") for place, (fields, job_id) in enumerate(found, 1)]
        return _Taken(jobs, limited, due)

    def _read_one(self, reply: Any, token: str) -> _Taken:
        fields, job_id, limited, due = read_job(reply)
        if fields is None:
            return _Taken([], limited, due)
        return _Taken([self._made(fields, job_id, token)], 0, 0)

    def _made(self, fields: Mapping[str, str], job_id: str, token: str) -> Any:
        job = self._jobs.make(fields, job_id)
        job.token = token
        return job

    def _take(self, taken: _Taken, asked: int, news: int) -> bool:
        """Puts slots to work on the jobs that came and frees the others; whether there may be more jobs.

        `asked` is for how many, `news` is from when they were asked for.
        """
        jobs, limited, due = taken
        if jobs:
            self._owner.drained = False
            self._start(jobs)
        if len(jobs) == asked and not limited:
            return True
        self.free(asked - len(jobs))
        self._streak = 0
        self.waiting.learn(due, limited)
        if news < self.news and self._fetching == 0 and self._may_fetch():
            self._fetch()  # what was heard of in between may have come after this reply
        else:
            self._rest()
        if not jobs and not self._owner.drained:
            self._owner.drained = True
            self._owner.emit("drained")
        return False

    def _start(self, jobs: list[Any]) -> None:
        if self._is_open:
            self._owner.start(jobs)
            return
        self._unstarted += jobs
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

    async def locked_by(self, tokens: Collection[str]) -> dict[str, list[Locked]]:
        """For each of these tokens what it locks, alone or as one of many, in the order in which that was taken.

        A fetch whose reply was lost may have been carried out, and only its locks tell of which jobs.
        Raises what `Pipeline.send` raises.
        """
        prefix = self._keys[""]
        active = [*reversed(await self.pipe.send("LRANGE", self._keys["active"], 0, -1))]
        locks = await self.pipe.send("MGET", *(f"{prefix}{job_id}:lock" for job_id in active)) if active else []
        owned: list[tuple[str, str, str]] = []
        for job_id, lock in zip(active, locks, strict=True):
            token = lock if lock in tokens else (lock or "").rpartition(":")[0]
            if token in tokens:
                owned.append((token, lock, job_id))
        fields = await asyncio.gather(*(self.pipe.send("HGETALL", prefix + job_id) for _, _, job_id in owned))
        found: dict[str, list[Locked]] = {}
        for (token, lock, job_id), of_job in zip(owned, fields, strict=True):
            found.setdefault(token, []).append(Locked(of_job, job_id, lock))
        return found

    async def _adopt_lost(self) -> None:
        lost = dict(self._lost)
        found = await self.locked_by(lost) if lost else {}
        for token, asked in lost.items():
            del self._lost[token]
            self._fetching -= 1
            jobs = [
                self._made(dict(zip(one.fields[::2], one.fields[1::2], strict=True)), one.job_id, one.lock)
                for one in found.get(token, ())
            ]
            self._take(_Taken(jobs, 0, 0), asked, self.news)

    async def settle(self) -> None:
        """Waits until no slot is held: jobs have ended, and what was not started has been handed back.

        A slot whose reply was lost is waited for as long as CLOSING_PATIENCE when the server is away.
        """
        away = 0.0
        while self._held and not (away >= CLOSING_PATIENCE and self._held == sum(self._lost.values())):
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
        replies = [self.pipe.run(*self._calls.give_back(job.id, job.token)) for job in reversed(unstarted)]
        replies += [self.pipe.send(*command) for command in self._calls.keep_order(unstarted)]
        for error in await asyncio.gather(*replies, return_exceptions=True):
            if isinstance(error, Exception):
                self._owner.complain(error)
        self._handing_back = None
        self.free(len(unstarted))
