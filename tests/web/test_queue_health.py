"""What probes rely on: the specification's shapes, and a status that an orchestrator understands."""

from typing import Any

import httpx
import pytest

from tidings.errors import QueueUnavailable
from tidings.web.application import create_application
from tidings.web.health import Probe, QueueCounts, QueueHealth, QueueMetrics, WorkerHealth, WorkersHealth, router


def report(
    *, redis: bool = True, database: bool = True, recovery: bool = True, expected: int | None = None, **workers: bool
) -> QueueHealth:
    found = [WorkerHealth(name=name, is_running=running) for name, running in workers.items()]
    count = len(found) if expected is None else expected
    return QueueHealth(
        redis=redis, database=database, recovery=recovery, workers=WorkersHealth(worker_count=count, workers=found)
    )


class Stub:
    def __init__(self, health: QueueHealth) -> None:
        self._health = health

    async def health(self) -> QueueHealth:
        return self._health

    async def metrics(self) -> QueueMetrics:
        if not self._health.redis:
            raise QueueUnavailable("Redis does not answer")
        counts = QueueCounts(waiting=1, active=2, completed=3, failed=4, delayed=5, total=8)
        queues = {"event-messages": counts}
        return QueueMetrics(redis=True, workers=self._health.workers, queues=queues, clocks={"redis": 5.012})


async def get(path: str, health: QueueHealth) -> tuple[int, dict[str, Any]]:
    stub = Stub(health)
    parts = {Probe: Probe(stub.health, stub.metrics, lambda: {"app": 0.0, "redis": 5.012})}
    application = create_application(parts=parts, routers=[router], api_key="key", max_body_bytes=10, version="1")
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        response = await http.get(path, headers={"X-API-Key": "key"})
    return response.status_code, response.json()


@pytest.mark.parametrize(
    ("health", "status"),
    [
        (report(events=True, automations=True), 200),
        (report(), 200),
        (report(events=True, automations=False), 503),
        (report(expected=2, events=True), 503),
        (report(expected=1), 503),
        (report(redis=False), 503),
        (report(redis=False, events=True), 503),
        (report(database=False, events=True), 503),
        (report(recovery=False, events=True), 503),
    ],
)
async def test_queue_health_is_200_only_when_redis_answers_and_every_expected_worker_runs(
    health: QueueHealth, status: int
) -> None:
    answer = await get("/queue/health", health)
    assert answer == (status, health.model_dump(by_alias=True))


async def test_queue_health_has_the_shape_of_the_specification() -> None:
    _, body = await get("/queue/health", report(events=True, automations=False))
    assert body == {
        "redis": True,
        "database": True,
        "recovery": True,
        "workers": {
            "workerCount": 2,
            "workers": [{"name": "events", "isRunning": True}, {"name": "automations", "isRunning": False}],
        },
    }


async def test_queue_metrics_add_the_depth_of_every_queue() -> None:
    status, body = await get("/queue/metrics", report(events=True))
    assert status == 200
    assert body == {
        "redis": True,
        "database": True,
        "recovery": True,
        "workers": {"workerCount": 1, "workers": [{"name": "events", "isRunning": True}]},
        "queues": {
            "event-messages": {"waiting": 1, "active": 2, "completed": 3, "failed": 4, "delayed": 5, "total": 8}
        },
        "resting": [],
        "clocks": {"redis": 5.012},
    }


async def test_queue_metrics_without_redis_are_a_problem() -> None:
    status, body = await get("/queue/metrics", report(redis=False))
    assert (status, body["type"]) == (503, "/problems/queue-unavailable")


async def test_liveness_depends_on_nothing_outside_the_process_as_a_restart_would_lose_what_it_has_to_record() -> (
    None
):
    status, body = await get("/health", report(redis=False, database=False))
    assert (status, body) == (200, {"status": "ok", "resting": [], "clocks": {"app": 0.0, "redis": 5.012}})


async def test_readiness_says_what_keeps_messages_from_leaving() -> None:
    assert await get("/ready", report(events=True)) == (200, {"status": "ok", "problems": []})
    down = report(database=False, recovery=False, events=True, automations=False)
    assert await get("/ready", down) == (
        503,
        {
            "status": "red",
            "problems": [
                "the database does not answer",
                "recovery does not run",
                "queue automations has no worker",
            ],
        },
    )
    assert await get("/ready", report(redis=False)) == (503, {"status": "red", "problems": ["Redis does not answer"]})
