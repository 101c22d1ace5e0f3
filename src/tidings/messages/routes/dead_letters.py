"""HTTP endpoints about dead letters: jobs of any queue that failed for good."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict

from tidings.messages.dead_letters import DeadLetters, DeadLetterStatus
from tidings.web.routing import new_router, provided

LetterId = Annotated[int, Path(ge=1, le=2**63 - 1)]
After = Annotated[int, Query(ge=0, le=2**63 - 1, description="The last id of the page before.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Most entries to return.")]
QueueName = Annotated[str | None, Query(max_length=64, description="Only those of this queue.")]


class DeadLetterOut(BaseModel):
    """A job that failed for good; times are UTC. `data` is what it was given."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    queue: str
    name: str
    job_id: str
    data: dict[str, Any]
    error: str
    attempts: int
    failed_at: datetime
    request_id: str
    status: DeadLetterStatus
    settled_at: datetime | None


Letters = Annotated[DeadLetters, provided(DeadLetters)]

router = new_router(tags=["dead letters"])


@router.get("/dead-letters")
async def list_dead_letters(
    letters: Letters,
    queue: QueueName = None,
    status: DeadLetterStatus | None = DeadLetterStatus.OPEN,
    after_id: After = 0,
    limit: Limit = 100,
) -> list[DeadLetterOut]:
    """Dead letters that nobody has dealt with, in order of id; the last id is the next page's `after_id`."""
    rows = await letters.list_letters(queue=queue, status=status, after_id=after_id, limit=limit)
    return [DeadLetterOut.model_validate(row) for row in rows]


@router.get("/dead-letters/{letter_id}")
async def get_dead_letter(letter_id: LetterId, letters: Letters) -> DeadLetterOut:
    """One dead letter."""
    return DeadLetterOut.model_validate(await letters.get(letter_id))


@router.post("/dead-letters/{letter_id}/retry")
async def retry_dead_letter(letter_id: LetterId, letters: Letters) -> DeadLetterOut:
    """Adds the job again, with the same name, data and id."""
    return DeadLetterOut.model_validate(await letters.retry(letter_id))


@router.post("/dead-letters/{letter_id}/discard")
async def discard_dead_letter(letter_id: LetterId, letters: Letters) -> DeadLetterOut:
    """Notes that nothing is to be done about it."""
    return DeadLetterOut.model_validate(await letters.discard(letter_id))
