"""Processors of single jobs, for workers that get many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tidings.engine import Batch


def one_by_one(process: Callable[[Any, str], Awaitable[Any]]) -> Callable[[Batch], Awaitable[None]]:
    """A processor of batches that works on each job by itself and ends it with what came of that."""

    async def work_on(batch: Batch, job: Any) -> None:
        try:
            batch.complete(job, await process(job, job.token))
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            batch.fail(job, error)
        except Exception as error:
            batch.fail(job, error)

    async def work_on_all(batch: Batch) -> None:
        async with asyncio.TaskGroup() as tasks:
            for job in batch:
                tasks.create_task(work_on(batch, job))
            await batch.ended()

    return work_on_all
