"""HTTP endpoints of the proactive messages. Every one is a verb of the service; times in answers are UTC."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

from fastapi import Query

from tidings.features.proactive.evaluation import EvaluationResult
from tidings.features.proactive.schemas import (
    ApprovalIn,
    ChecklistItemIn,
    GoalIn,
    GoalOut,
    ListedProactiveMessage,
    ProactiveMessageOut,
    ProactiveStats,
    ProgressIn,
    RejectionIn,
)
from tidings.features.proactive.service import Proactive
from tidings.fields import After, Id, Limit
from tidings.messages.statuses import Status
from tidings.web.routing import new_router, provided

MessageType = Annotated[str, Query(max_length=64, pattern=r"^\w+$", description="A trigger's message type.")]

Service = Annotated[Proactive, provided(Proactive)]

MESSAGES: list[str | Enum] = ["proactive messages"]
APPROVALS: list[str | Enum] = ["approvals"]
GOALS: list[str | Enum] = ["goals"]

router = new_router()


@router.post("/proactive-messages/evaluate", tags=MESSAGES)
async def evaluate_proactive_triggers(proactive: Service) -> EvaluationResult:
    """Evaluates the triggers now, instead of at the next full hour; doing it twice makes nothing twice."""
    return await proactive.evaluate_proactive_triggers()


@router.post("/proactive-messages/deliver", tags=MESSAGES)
async def deliver_waiting_proactive_messages(proactive: Service) -> list[ProactiveMessageOut]:
    """Runs a delivery cycle now: up to 20 waiting messages, the oldest first, two seconds apart."""
    return [ProactiveMessageOut.model_validate(row) for row in await proactive.deliver_waiting()]


@router.get("/proactive-messages", tags=MESSAGES)
async def list_proactive_messages(
    proactive: Service,
    contractor_id: Id | None = None,
    message_type: MessageType | None = None,
    status: Literal["waiting"] | Status | None = None,
    after_id: After = 0,
    limit: Limit = 100,
) -> list[ListedProactiveMessage]:
    """Messages in order of id; the last id is the next page's `after_id`."""
    rows = await proactive.list_messages(
        contractor_id=contractor_id, message_type=message_type, status=status, after_id=after_id, limit=limit
    )
    return [ListedProactiveMessage.model_validate(row) for row in rows]


@router.get("/proactive-messages/stats", tags=MESSAGES)
async def get_proactive_stats(proactive: Service) -> ProactiveStats:
    """How many messages stand where, of every trigger and in all."""
    return await proactive.get_stats()


@router.get("/proactive-messages/{message_id}", tags=MESSAGES)
async def get_proactive_message(proactive: Service, message_id: Id) -> ProactiveMessageOut:
    """One message with its reasoning."""
    return ProactiveMessageOut.model_validate(await proactive.get_message(message_id))


@router.delete("/proactive-messages/{message_id}", tags=MESSAGES)
async def cancel_proactive_message(proactive: Service, message_id: Id) -> ProactiveMessageOut:
    """Cancels a message that has not gone out."""
    return ProactiveMessageOut.model_validate(await proactive.cancel(message_id))


@router.get("/proactive-approvals", tags=APPROVALS)
async def list_proactive_approvals(
    proactive: Service, after_id: After = 0, limit: Limit = 100
) -> list[ListedProactiveMessage]:
    """Messages that wait for a person to approve them, the oldest first."""
    rows = await proactive.approvals.waiting(after_id=after_id, limit=limit)
    return [ListedProactiveMessage.model_validate(row) for row in rows]


@router.post("/proactive-messages/{message_id}/approve", tags=APPROVALS)
async def approve_proactive_message(proactive: Service, message_id: Id, approval: ApprovalIn) -> ProactiveMessageOut:
    """Lets a message go that needs approval."""
    return ProactiveMessageOut.model_validate(await proactive.approvals.approve(message_id, approval.by))


@router.post("/proactive-messages/{message_id}/reject", tags=APPROVALS)
async def reject_proactive_message(proactive: Service, message_id: Id, rejection: RejectionIn) -> ProactiveMessageOut:
    """Skips a message that needs approval."""
    return ProactiveMessageOut.model_validate(
        await proactive.approvals.reject(message_id, rejection.by, rejection.why)
    )


@router.post("/contractors/{contractor_id}/goals", status_code=201, tags=GOALS)
async def create_goal(proactive: Service, contractor_id: Id, goal: GoalIn) -> GoalOut:
    """Stores a contact's goal with its checklist."""
    return GoalOut.model_validate(await proactive.goals.create(contractor_id, goal))


@router.get("/goals", tags=GOALS)
async def list_goals(
    proactive: Service,
    contractor_id: Id | None = None,
    completed: bool | None = None,
    after_id: After = 0,
    limit: Limit = 100,
) -> list[GoalOut]:
    """Goals in order of id; the last id is the next page's `after_id`."""
    goals = await proactive.goals.list(
        contractor_id=contractor_id, completed=completed, after_id=after_id, limit=limit
    )
    return [GoalOut.model_validate(goal) for goal in goals]


@router.get("/goals/{goal_id}", tags=GOALS)
async def get_goal(proactive: Service, goal_id: Id) -> GoalOut:
    """One goal with its checklist."""
    return GoalOut.model_validate(await proactive.goals.get(goal_id))


@router.post("/goals/{goal_id}/progress", tags=GOALS)
async def record_goal_progress(proactive: Service, goal_id: Id, change: ProgressIn) -> GoalOut:
    """Notes that a goal came forward."""
    return GoalOut.model_validate(await proactive.goals.record_progress(goal_id, change.progress))


@router.post("/goals/{goal_id}/complete", tags=GOALS)
async def complete_goal(proactive: Service, goal_id: Id) -> GoalOut:
    """The goal is reached."""
    return GoalOut.model_validate(await proactive.goals.complete(goal_id))


@router.post("/goals/{goal_id}/checklist", status_code=201, tags=GOALS)
async def add_checklist_item(proactive: Service, goal_id: Id, item: ChecklistItemIn) -> GoalOut:
    """Adds a step to a goal's checklist."""
    return GoalOut.model_validate(await proactive.goals.add_checklist_item(goal_id, item))


@router.post("/checklist-items/{item_id}/complete", tags=GOALS)
async def complete_checklist_item(proactive: Service, item_id: Id) -> GoalOut:
    """A step is taken, which counts as progress."""
    return GoalOut.model_validate(await proactive.goals.complete_checklist_item(item_id))
