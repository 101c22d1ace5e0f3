"""Where measures are taken: everybody in turn, each alone with the server, in rounds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.engine.contestants import Contestant, Running
from benchmarks.engine.plan import Plan
from benchmarks.engine.server import Server


class Arena:
    """The plan, the server and the contestants of one bench."""

    def __init__(
        self,
        plan: Plan,
        server: Server,
        contestants: Sequence[Contestant],
        prefix: str,
        say: Callable[[str], None],
    ) -> None:
        self.plan, self.server, self.contestants, self.say = plan, server, contestants, say
        self.versions: dict[str, dict[str, Any]] = {}
        self._prefix = prefix

    def turns(self, what: str) -> Iterator[Contestant]:
        """A B C, A B C, …: the machine's drift hits all alike."""
        for number in range(1, self.plan.rounds + 1):
            self.say(f"{what}, round {number} of {self.plan.rounds}")
            yield from self.contestants

    def prefix(self, contestant: Contestant) -> str:
        return f"{self._prefix}-{contestant.key}"

    @asynccontextmanager
    async def working(
        self, contestant: Contestant, *queues: str, concurrency: int, jobs: int = 0
    ) -> AsyncIterator[Running]:
        """The contestant at work on these queues, which are deleted afterwards."""
        prefix = self.prefix(contestant)
        try:
            async with contestant.started(self.server, prefix, queues, concurrency=concurrency, jobs=jobs) as running:
                self.versions[contestant.key] = running.versions
                yield running
        finally:
            await self.server.clear(prefix)
