"""Knows when a queue is worth looking at, when it was found empty.

Every empty reply tells when the next delayed job is due, and a timer is set for it. BullMQ's marker, which a
connection of its own waits for, tells of new work and of work due earlier. Neither is trusted for longer than
MAX_WAIT.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import RedisError

from tidings.engine.worker.pipeline import Pipeline, seen
from tidings.engine.worker.server_clock import ServerClock

MAX_WAIT = 2.0
"""Longest wait in seconds before the queue is looked at again, whatever happened to its marker."""
LISTEN = 4.0  # seconds that one wait for the marker lasts
RETRY_WAIT = 1.0
"""Seconds after which a server that refused, or is away, is asked again, at most."""
_FINE = 0.0025  # seconds; asyncio's timers are late by a millisecond or two, so the last bit is waited out in turns


class Waiting:
    """The alarm and the marker of one queue. `look` is called when something says that there may be work; `pipe` is
    the connection on which to do so."""

    def __init__(
        self,
        client: Any,
        pipe: Pipeline,
        marker: str,
        *,
        name: str,
        look: Callable[[], None],
        complain: Callable[[BaseException], None],
    ) -> None:
        self.clock = ServerClock()
        self._pipe = pipe
        self._bell = Pipeline(client, name=name, longest=LISTEN)
        self._bell_id: int | None = None
        self._marker = marker
        self._look = look
        self._complain = complain
        self._due = 0.0  # epoch milliseconds of the next delayed job; 0 when there is none
        self._not_before = 0.0  # by the loop's clock: the end of a rate limit, or of a server's refusal
        self._alarm: asyncio.Handle | None = None
        self._may_listen = asyncio.Event()
        self._has_room = False

    @property
    def is_over(self) -> bool:
        """Whether no rate limit and no refusal forbids to look."""
        return self._not_before <= asyncio.get_running_loop().time()

    def learn(self, due: float, limited: int) -> None:
        """What an empty reply tells: when the next job is due (epoch milliseconds, 0 for never), and for how many
        milliseconds the queue is rate limited."""
        self._due = due
        # The server drops the fraction of what is left of a limit.
        self._not_before = asyncio.get_running_loop().time() + (limited + 1) / 1000 if limited else 0.0

    def hold_off(self, seconds: float) -> None:
        """The server refuses for the time being."""
        self._not_before = asyncio.get_running_loop().time() + seconds

    def forget(self) -> None:
        """What was learned is out of date: the connection is new."""
        self._not_before = 0.0

    def start(self, *, has_room: bool) -> None:
        """Waits for the next moment to look. Without room for a job, a marker is left to those who have."""
        self.stop()
        loop = asyncio.get_running_loop()
        limited = self._not_before - loop.time()
        if limited > 0:
            self._alarm = loop.call_later(min(limited, MAX_WAIT), self._limit_is_over)
            return
        self._has_room = has_room
        if has_room:
            self._may_listen.set()
        ring = self._is_due if has_room else self._is_due_for_others
        wait = (self._due - self.clock.milliseconds()) / 1000 if self._due else math.inf
        if has_room and wait > MAX_WAIT:
            self._alarm = loop.call_later(MAX_WAIT, self._look)
        elif wait < math.inf:
            self._alarm = loop.call_later(wait - _FINE, ring) if wait > _FINE else loop.call_soon(ring)

    def stop(self) -> None:
        """Waits for nothing; a marker that comes is passed on."""
        self._has_room = False
        self._may_listen.clear()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def suspend(self, *, has_room: bool) -> None:
        """A fetch is under way, so that the next marker need not be waited for yet."""
        self._has_room = has_room
        self._may_listen.clear()

    def pass_marker_on(self) -> asyncio.Future[Any]:
        """Wakes whoever waits for the marker of this queue."""
        return self._pipe.send("ZADD", self._marker, 0, "0")

    def tell_others(self) -> None:
        """As `pass_marker_on`, when it is no matter of life and death."""
        if self._pipe.up.is_set():
            self.pass_marker_on().add_done_callback(seen)

    async def listen(self) -> None:
        """Waits for markers, for as long as the worker runs."""
        while True:
            await self._may_listen.wait()
            try:
                if not self._bell.up.is_set():
                    await self._bell.open()
                    self._bell_id = await self._bell.send("CLIENT", "ID")
                popped = await self._bell.send("BZPOPMIN", self._marker, LISTEN)
            except Exception as error:  # whatever it is, the next marker must be waited for
                self._complain(error)
                if not isinstance(error, ConnectionLost):  # loading, or a replica now: a new way may lead elsewhere
                    self._bell.give_up(str(error))
                self._bell_id = None
                await asyncio.sleep(RETRY_WAIT / 4)
                continue
            if popped is not None:
                self._heed(float(popped[2]))

    async def hush(self) -> None:
        """Ends the wait for a marker, and passes on what was taken: nobody else may know the next due time."""
        self.stop()
        if self._pipe.up.is_set():
            with suppress(RedisError, OSError):
                # Ended rather than cut off: cut off, it might yet swallow a marker.
                if self._bell_id is not None:
                    self._pipe.send("CLIENT", "UNBLOCK", self._bell_id).add_done_callback(seen)
                await self.pass_marker_on()

    async def close(self) -> None:
        """Drops the connection that waits."""
        self.stop()
        await self._bell.close()

    def _heed(self, due: float) -> None:
        """A marker says that there is work, or will be."""
        if not self._has_room:
            self.tell_others()
        elif due <= self.clock.milliseconds():
            self._look()
        else:
            self._due = min(self._due or due, due)
            if self._may_listen.is_set():  # else the reply that is under way will tell, and more
                self.start(has_room=True)

    def _limit_is_over(self) -> None:
        self._alarm = None
        self._not_before = 0.0
        self._look()

    def _is_due(self) -> None:
        self._alarm = None
        if self._due > self.clock.milliseconds():
            self.start(has_room=True)
        else:
            self._look()
            self._pipe.flush()  # nobody is waited for at a due moment

    def _is_due_for_others(self) -> None:
        self._alarm = None
        if self._due > self.clock.milliseconds():
            self.start(has_room=False)
        else:
            self._due = 0.0
            self.tell_others()
