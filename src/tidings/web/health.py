"""What probes and people ask about the running system (specification: shop queues, "Observability")."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tidings.web.routing import new_router, provided


class _Report(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


_CLOCKS = "By how many seconds each clock is ahead of the one that messages are due by; `app` is this machine's."


class Liveness(_Report):
    """The process answers; it says nothing about Redis or the workers."""

    status: Literal["ok"] = "ok"
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
    """Whether Redis answers and the workers run."""

    redis: bool
    workers: WorkersHealth

    @property
    def healthy(self) -> bool:
        """Redis answers, and every worker that is expected runs."""
        running = [worker.is_running for worker in self.workers.workers]
        return self.redis and all(running) and len(running) >= self.workers.worker_count


class QueueCounts(_Report):
    """How many jobs of one queue are where; `total` counts those still to be done."""

    waiting: int
    active: int
    completed: int
    failed: int
    delayed: int
    total: int


class QueueMetrics(QueueHealth):
    """Health, and the depth of every queue by its name."""

    queues: dict[str, QueueCounts]
    clocks: dict[str, float] = Field(default={}, description=_CLOCKS)


@dataclass(frozen=True, slots=True)
class Probe:
    """Asks whoever knows the queues, workers and clocks. Only `metrics` may fail: it may raise QueueUnavailable."""

    health: Callable[[], Awaitable[QueueHealth]]
    metrics: Callable[[], Awaitable[QueueMetrics]]
    clocks: Callable[[], Mapping[str, float]]


Asked = Annotated[Probe, provided(Probe)]

router = new_router(tags=["health"])


@router.get("/health")
async def health(probe: Asked) -> Liveness:
    """Whether the process answers, and how far clocks are apart."""
    return Liveness(clocks=dict(probe.clocks()))


@router.get("/queue/health", responses={503: {"model": QueueHealth, "description": "Something is down"}})
async def queue_health(response: Response, probe: Asked) -> QueueHealth:
    """Whether Redis answers and every expected worker runs."""
    found = await probe.health()
    response.status_code = 200 if found.healthy else 503
    return found


@router.get("/queue/metrics")
async def queue_metrics(probe: Asked) -> QueueMetrics:
    """Health, and how many jobs of each queue are waiting, active, delayed, completed and failed."""
    return await probe.metrics()
