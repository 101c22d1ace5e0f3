"""What a worker promises about a job that ends although its children forbid it."""

from __future__ import annotations

import asyncio
from typing import Any

import bullmq

from engine.worker.rig import Rig
from support.workshop import eventually
from tidings.engine import Worker


async def add_child(rig: Rig, parent: Any, **options: Any) -> Any:
    """Adds a child, from within its parent's processor, to a queue that nobody else works on."""
    children = bullmq.Queue("parts", {"connection": rig.redis, "prefix": rig.prefix})
    belongs = {"id": parent.id, "queue": parent.queueQualifiedName}
    return await children.add("part", {}, {"parent": belongs, **options})


async def test_a_job_that_returns_before_its_children_are_done_fails_for_good_and_says_so(rig: Rig) -> None:
    async def leave_early(job: Any, token: str) -> str:
        await add_child(rig, job)
        return "done, so it says"

    rig.worker(leave_early)
    await rig.add("a", attempts=3)
    (failed,) = await rig.happened("failed")
    assert str(failed.arguments[1]) == "Cannot complete job a: it has children that are not done"
    job = await rig.job("a")
    assert await job.isFailed()
    assert job.attemptsMade == 1
    assert len(rig.starts) == 1
    assert rig.events("completed") == []


async def test_a_job_whose_child_has_failed_meanwhile_fails_for_good_and_the_next_goes_on(rig: Rig) -> None:
    async def fail(job: Any, token: str) -> None:
        raise ValueError("broken part")

    async def outlast_a_failing_child(job: Any, token: str) -> str:
        if job.id == "a":
            child = await add_child(rig, job, failParentOnFailure=True)
            parts = Worker("parts", fail, {"connection": rig.url, "prefix": rig.prefix, "autorun": False})
            run = asyncio.ensure_future(parts.run())
            await eventually(child.isFailed)
            await parts.close()
            await run
        return "done, so it says"

    rig.worker(outlast_a_failing_child)
    await rig.add("a", attempts=3)
    (failed,) = await rig.happened("failed")
    assert str(failed.arguments[1]) == "Cannot complete job a: it has at least one failed child"
    assert await (await rig.job("a")).isFailed()
    assert rig.events("completed") == []
    await rig.add("b")
    (completed,) = await rig.happened("completed")
    assert completed.job_id == "b"
