"""What the benches want of everybody who is compared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from benchmarks.processes import Process
from benchmarks.stage import Stage


@dataclass(frozen=True, slots=True)
class Effort:
    """What scheduling took: seconds, and seconds of CPU of the process that asked for it."""

    seconds: float
    cpu: float


class Installation(ABC):
    """One of a contestant. `dues` is when each message is due (epoch seconds), by the key that the sink sees."""

    worker: Process

    def __init__(self) -> None:
        self.dues: dict[str, float] = {}

    @abstractmethod
    async def start_worker(self) -> None:
        """Starts `worker`; the one before has ended."""

    @abstractmethod
    async def fill(self, messages: int) -> None:
        """Puts so many more rows there beforehand, where scheduling does not write them itself."""

    @abstractmethod
    async def schedule(self, dues: Sequence[float]) -> Effort:
        """Schedules one more message for each of these moments (epoch seconds, in whole milliseconds)."""

    @abstractmethod
    async def sent(self) -> int:
        """How many rows say that their message was sent."""


class Contestant(ABC):
    """One that is compared. `pace` is how many messages a second it is trusted to schedule."""

    key: str
    label: str
    pace: float = 1000.0

    @abstractmethod
    async def prepare(self, stage: Stage, messages: int) -> None:
        """Makes ready what all its rounds need, once; fetches packages that are not here."""

    @abstractmethod
    def installed(self, stage: Stage, *, concurrency: int) -> AbstractAsyncContextManager[Installation]:
        """A new installation without a message; it and its worker are gone afterwards."""

    def version(self) -> str:
        """What it is made of, once it was prepared."""
        return ""
