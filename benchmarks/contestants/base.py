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


class Running(ABC):
    """A contestant's installation without a message, whose worker runs."""

    worker: Process

    @abstractmethod
    async def schedule(self, dues: Sequence[float]) -> Effort:
        """Schedules a message for each of these moments (epoch seconds)."""

    @abstractmethod
    async def sent(self) -> int:
        """How many rows say that their message was sent."""

    @abstractmethod
    async def dues(self) -> dict[str, float]:
        """When each message is due (epoch seconds), by the key that the sink sees."""


class Contestant(ABC):
    """One that is compared. `pace` is how many messages a second it is trusted to schedule."""

    key: str
    label: str
    pace: float = 1000.0

    @abstractmethod
    async def prepare(self, stage: Stage, messages: int) -> None:
        """Makes ready what all its rounds need, once; fetches packages that are not here."""

    @abstractmethod
    def at_work(self, stage: Stage, *, concurrency: int) -> AbstractAsyncContextManager[Running]:
        """A new installation with its worker, which both are gone afterwards."""

    def version(self) -> str:
        """What it is made of, once it was prepared."""
        return ""
