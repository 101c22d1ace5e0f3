"""Jobs that another program adds in full: what they tell is stored first, then delivered like everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tidings.engine.jobs import GiveUpJob, HeldJob
from tidings.errors import UserError
from tidings.messages.delivery.pipeline import DeliveryPipeline
from tidings.messages.kind import MessageJob


async def deliver(
    pipeline: DeliveryPipeline, jobs: Sequence[HeldJob[Any]], store: Callable[[Any, str], Awaitable[int]]
) -> None:
    """Brings stored messages out; none waits for those that are only told of.

    The jobs' data have an `id` where the message is stored. `store` makes the row of what the others tell, of the
    request that it belongs to; a UserError of it is final.
    """
    await pipeline.handle(
        [HeldJob(MessageJob(id=job.data.id), job.run, job.end) for job in jobs if job.data.id is not None]
    )

    async def take(job: HeldJob[Any]) -> None:
        try:
            row_id = await store(job.data, job.run.request_id)
        except UserError as error:
            job.end(GiveUpJob(str(error)))
        except Exception as error:
            job.end(error)
        else:
            await pipeline.handle([HeldJob(MessageJob(id=row_id), job.run, job.end)])

    await asyncio.gather(*(take(job) for job in jobs if job.data.id is None))
