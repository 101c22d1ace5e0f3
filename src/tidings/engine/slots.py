"""How much of a queue's work is done at once, how much is prepared meanwhile, how much is not written down yet."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

HEAD_START = 0.03
"""Seconds of work that are prepared ahead of the slots. What is urgent waits for no more than that."""

MOST_AHEAD = 400
"""Jobs prepared ahead at most."""

IN_DOUBT = 3
"""For each slot, how much work may be done, or be under way, whose outcome is not written down yet."""

Piece = Callable[[], Awaitable[None]]
"""A piece of work. It raises nothing."""


class Slots:
    """At most `limit` pieces of work at once, first come, first served.

    Each piece holds a slot until it returns, and then the next one begins; whoever has written down what came of it
    says so (`settle`). What a crash leaves in doubt is what has begun and is not settled: never more than IN_DOUBT
    times the limit.

    Jobs beyond the limit may be prepared meanwhile (claimed from the database, many in one statement), as many as
    the slots will take within HEAD_START seconds by what the latest ones took. Slow work is not prepared ahead: it
    would be held from other workers, and from what is more urgent, for nothing.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._servers: set[asyncio.Task[None]] = set()
        self._unsettled = 0
        self._waiting: deque[Piece] = deque()
        self._seconds = HEAD_START  # that one piece of work holds a slot, the latest ones counting most
        self.ahead = self._worth_preparing()
        """How many jobs are worth preparing now, beside those that have a slot."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when `ahead` is another one."""

    @property
    def busy(self) -> bool:
        """Whether there is more than one piece of work, with a slot or waiting for one."""
        return len(self._servers) > 1 or bool(self._waiting)

    @property
    def waiting(self) -> bool:
        """Whether anything waits for a slot."""
        return bool(self._waiting)

    def add(self, piece: Piece) -> None:
        """Does it in its turn; one `settle` follows for it."""
        self._waiting.append(piece)
        self._serve()

    def settle(self) -> None:
        """What came of a piece of work is written down."""
        self._unsettled -= 1
        if self._waiting:
            self._serve()

    def cancel(self) -> None:
        """Ends all that is under way, and begins nothing of what waits."""
        self._waiting.clear()
        for server in self._servers:
            server.cancel()

    def _serve(self) -> None:
        """Has one task more for each piece that may begin; a task goes on to the next piece by itself."""
        able = min(self.limit - len(self._servers), IN_DOUBT * self.limit - self._unsettled, len(self._waiting))
        for _ in range(able):
            piece = self._begin()
            server = asyncio.get_running_loop().create_task(self._work(piece))
            self._servers.add(server)
            server.add_done_callback(self._servers.discard)

    def _begin(self) -> Piece:
        self._unsettled += 1
        return self._waiting.popleft()

    async def _work(self, piece: Piece) -> None:
        while True:
            began = time.perf_counter()
            await piece()
            self._note(time.perf_counter() - began)
            if not self._waiting or self._unsettled >= IN_DOUBT * self.limit:
                # Not only when its callback is called: until then it would count as one that works.
                self._servers.discard(asyncio.current_task())
                return
            piece = self._begin()

    def _note(self, seconds: float) -> None:
        self._seconds += (seconds - self._seconds) / 16
        ahead = self._worth_preparing()
        if abs(ahead - self.ahead) > self.ahead / 4:
            self.ahead = ahead
            self.on_change()

    def _worth_preparing(self) -> int:
        return int(min(self.limit * HEAD_START / max(self._seconds, 1e-6), MOST_AHEAD))
