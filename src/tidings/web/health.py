"""What probes and people ask about the running system (specification: shop queues, "Observability")."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tidings.web.routing import new_router, provided


class _Report(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


_CLOCKS = "By how many seconds each clock is ahead of the one that messages are due by; `app` is this machine's."


class RestingProvider(_Report):
    """A provider, or one account of it, that is away: its messages wait, which costs them no attempt."""

    provider: str
    since: datetime
    why: str
    tried_again: datetime = Field(description="When it is tried again, at the latest.")
    waiting: int = Field(description="Messages that wait for it, or have had to.")


class Liveness(_Report):
    """The process answers; it says nothing about the database, Redis or the workers."""

    status: Literal["ok"] = "ok"
    resting: list[RestingProvider] = Field(default=[], description="Providers that this process leaves alone now.")
    clocks: dict[str, float] = Field(default={}, description=_CLOCKS)


class WorkerHealth(_Report):
    """One worker, named after its queue."""

    name: str
    is_running: bool


class WorkersHealth(_Report):
    """The workers of this process."""

    worker_count: int = Field(description="How many should run; 0 where no worker is expected.")
    workers: list[WorkerHealth]


class QueueHealth(_Report):
    """Whether messages can leave: Redis and the database answer, the workers run, and so does recovery."""

    redis: bool
    database: bool = Field(True, description="Whether it answers within 2 s.")
    recovery: bool = Field(True, description="False: the recovery of this process has not looked for 5 minutes.")
    workers: WorkersHealth

    @property
    def healthy(self) -> bool:
        """Messages can leave."""
        return not self.problems

    @property
    def problems(self) -> list[str]:
        """A sentence for each thing that keeps messages from leaving."""
        found = [f"queue {one.name} has no worker" for one in self.workers.workers if not one.is_running]
        missing = self.workers.worker_count - len(self.workers.workers)
        return [
            *(["the database does not answer"] if not self.database else []),
            *(["Redis does not answer"] if not self.redis else []),
            *(["recovery does not run"] if not self.recovery else []),
            *(found if self.redis else []),
            *([f"{missing} queues have no worker"] if self.redis and missing > 0 else []),
        ]


class Readiness(_Report):
    """Whether messages can leave, and what keeps them."""

    status: Literal["ok", "red"]
    problems: list[str] = Field(description="A sentence for each thing that keeps messages from leaving.")


class QueueCounts(_Report):
    """How many jobs of one queue are where; `total` counts those still to be done."""

    waiting: int
    active: int
    completed: int
    failed: int
    delayed: int
    total: int


class QueueMetrics(QueueHealth):
    """Health, the depth of every queue by its name, and which providers are away."""

    queues: dict[str, QueueCounts]
    resting: list[RestingProvider] = Field(default=[], description="Providers for which messages wait now.")
    clocks: dict[str, float] = Field(default={}, description=_CLOCKS)


@dataclass(frozen=True, slots=True)
class Probe:
    """Asks whoever knows about all that. Only `metrics` may fail: it may raise QueueUnavailable."""

    health: Callable[[], Awaitable[QueueHealth]]
    metrics: Callable[[], Awaitable[QueueMetrics]]
    clocks: Callable[[], Mapping[str, float]]
    resting: Callable[[], Sequence[RestingProvider]] = tuple


Asked = Annotated[Probe, provided(Probe)]

router = new_router(strict=False, tags=["health"])


@router.get("/health")
async def health(probe: Asked) -> Liveness:
    """Whether the process answers, how far clocks are apart, and which providers it leaves alone. For whoever
    restarts what does not: a database or provider that is away is no reason, since the process remembers which
    messages it has handed over and could not write down yet. `/ready` tells of the rest."""
    return Liveness(clocks=dict(probe.clocks()), resting=list(probe.resting()))


@router.get("/ready", responses={503: {"model": Readiness, "description": "Messages cannot leave"}})
async def ready(response: Response, probe: Asked) -> Readiness:
    """Whether messages can leave: the database and Redis answer, every queue has a worker, and recovery runs."""
    found = await probe.health()
    response.status_code = 200 if found.healthy else 503
    return Readiness(status="ok" if found.healthy else "red", problems=found.problems)


@router.get("/queue/health", responses={503: {"model": QueueHealth, "description": "Something is down"}})
async def queue_health(response: Response, probe: Asked) -> QueueHealth:
    """Whether Redis and the database answer, every expected worker runs, and recovery does. Answers within 3 s."""
    found = await probe.health()
    response.status_code = 200 if found.healthy else 503
    return found


@router.get("/queue/metrics")
async def queue_metrics(probe: Asked) -> QueueMetrics:
    """Health, how many jobs of each queue are waiting, active, delayed, completed and failed, and which providers are
    away."""
    return await probe.metrics()
