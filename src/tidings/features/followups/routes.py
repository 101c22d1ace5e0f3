"""HTTP endpoints of the follow-ups. Every one is a verb of the service; times in answers are UTC."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from fastapi import Path, Query

from tidings.features.followups.figures import MAX_DAYS
from tidings.features.followups.models import FollowUp
from tidings.features.followups.schemas import (
    ActionItemIn,
    ActionItemOut,
    DraftOut,
    Effectiveness,
    ExperimentIn,
    ExperimentOut,
    ExperimentResult,
    FollowUpIn,
    FollowUpOut,
    ResponseIn,
    SchedulerStats,
    SentIn,
    VipIn,
)
from tidings.features.followups.service import FollowUps
from tidings.fields import After, Counted, Id, Limit
from tidings.messages.statuses import Status
from tidings.web.routing import new_router, provided

ExperimentName = Annotated[str, Path(max_length=64)]
Days = Annotated[int, Query(ge=1, le=MAX_DAYS, description="How many days back.")]

Service = Annotated[FollowUps, provided(FollowUps)]

FOLLOW_UPS: list[str | Enum] = ["follow-ups"]
ACTION_ITEMS: list[str | Enum] = ["action items"]
EXPERIMENTS: list[str | Enum] = ["follow-up experiments"]

router = new_router()


async def _shown(followups: FollowUps, *rows: FollowUp) -> list[FollowUpOut]:
    zones = await followups.get_zones(*rows)
    return [
        FollowUpOut.model_validate(row).model_copy(
            update={"timezone": zones[row.id].name, "timezone_source": zones[row.id].source}
        )
        for row in rows
    ]


@router.get("/follow-ups/pending", tags=FOLLOW_UPS)
async def get_pending_follow_ups(followups: Service, limit: Limit = 100) -> list[FollowUpOut]:
    """Follow-ups that are still to go out, the next one first."""
    return await _shown(followups, *await followups.get_pending_follow_ups(limit))


@router.get("/follow-ups/due", tags=FOLLOW_UPS)
async def get_due_follow_ups(followups: Service, limit: Limit = 100) -> list[FollowUpOut]:
    """Follow-ups whose time has come and that wait for a worker."""
    return await _shown(followups, *await followups.get_due_follow_ups(limit))


@router.get("/follow-ups/stats", tags=FOLLOW_UPS)
async def get_scheduler_stats(followups: Service) -> SchedulerStats:
    """Counts by status, what is due, what was sent today, and the queue's jobs."""
    return await followups.get_scheduler_stats()


@router.get("/follow-ups/effectiveness", tags=FOLLOW_UPS)
async def get_effectiveness(followups: Service, days: Days = 30) -> list[Effectiveness]:
    """How well each type of follow-up works."""
    return await followups.figures.get_effectiveness(days)


@router.get("/contractors/{contractor_id}/follow-ups", tags=FOLLOW_UPS)
async def get_contractor_follow_ups(
    followups: Service, contractor_id: Id, status: Status | None = None, after_id: After = 0, limit: Limit = 100
) -> list[FollowUpOut]:
    """A contractor's follow-ups in order of id; the last id is the next page's `after_id`."""
    rows = await followups.get_contractor_follow_ups(contractor_id, status=status, after_id=after_id, limit=limit)
    return await _shown(followups, *rows)


@router.put("/contractors/{contractor_id}/vip", tags=FOLLOW_UPS)
async def set_vip(followups: Service, contractor_id: Id, change: VipIn) -> Counted:
    """Has a contractor's follow-ups go first, or not any more."""
    return Counted(messages=await followups.set_vip(contractor_id, change.vip))


@router.post("/follow-ups", status_code=201, tags=FOLLOW_UPS)
async def schedule_follow_up(followups: Service, follow_up: FollowUpIn) -> FollowUpOut:
    """Schedules a follow-up; a naive time is the contractor's local time."""
    return (await _shown(followups, await followups.schedule_follow_up(follow_up)))[0]


@router.get("/follow-ups/{follow_up_id}", tags=FOLLOW_UPS)
async def get_follow_up(followups: Service, follow_up_id: Id) -> FollowUpOut:
    """One follow-up."""
    return (await _shown(followups, await followups.get_follow_up(follow_up_id)))[0]


@router.delete("/follow-ups/{follow_up_id}", tags=FOLLOW_UPS)
async def cancel_follow_up(followups: Service, follow_up_id: Id, only_this: bool = False) -> FollowUpOut:
    """Cancels a follow-up that has not gone out, and with it its series, or `only_this` occurrence."""
    return (await _shown(followups, await followups.cancel_follow_up(follow_up_id, only_this=only_this)))[0]


@router.post("/follow-ups/{follow_up_id}/draft", tags=FOLLOW_UPS)
async def personalize_message(followups: Service, follow_up_id: Id) -> DraftOut:
    """The text as it would be written now; nothing is sent."""
    return DraftOut.model_validate(await followups.personalize_message(follow_up_id))


@router.post("/follow-ups/{follow_up_id}/send", tags=FOLLOW_UPS)
async def send_follow_up_message(followups: Service, follow_up_id: Id) -> FollowUpOut:
    """Sends a follow-up now instead of at its time."""
    return (await _shown(followups, await followups.send_follow_up_message(follow_up_id)))[0]


@router.post("/follow-ups/{follow_up_id}/sent", tags=FOLLOW_UPS)
async def mark_follow_up_sent(followups: Service, follow_up_id: Id, sent: SentIn) -> FollowUpOut:
    """Notes that somebody sent it by other means."""
    return (await _shown(followups, await followups.mark_follow_up_sent(follow_up_id, sent.sent_by)))[0]


@router.post("/follow-ups/{follow_up_id}/response", tags=FOLLOW_UPS)
async def record_follow_up_response(followups: Service, follow_up_id: Id, response: ResponseIn) -> FollowUpOut:
    """Stores by hand what the contractor answered."""
    return (await _shown(followups, await followups.record_follow_up_response(follow_up_id, response)))[0]


@router.post("/action-items", status_code=201, tags=ACTION_ITEMS)
async def create_action_item(followups: Service, item: ActionItemIn) -> ActionItemOut:
    """Stores something that a contractor has to do."""
    return ActionItemOut.model_validate(await followups.action_items.create(item))


@router.get("/action-items", tags=ACTION_ITEMS)
async def list_action_items(
    followups: Service,
    contractor_id: Id | None = None,
    completed: bool | None = None,
    after_id: After = 0,
    limit: Limit = 100,
) -> list[ActionItemOut]:
    """Action items in order of id; the last id is the next page's `after_id`."""
    rows = await followups.action_items.list(
        contractor_id=contractor_id, completed=completed, after_id=after_id, limit=limit
    )
    return [ActionItemOut.model_validate(row) for row in rows]


@router.get("/action-items/{action_item_id}", tags=ACTION_ITEMS)
async def get_action_item(followups: Service, action_item_id: Id) -> ActionItemOut:
    """One action item."""
    return ActionItemOut.model_validate(await followups.action_items.get(action_item_id))


@router.post("/action-items/{action_item_id}/complete", tags=ACTION_ITEMS)
async def complete_action_item(followups: Service, action_item_id: Id) -> ActionItemOut:
    """Notes that it is done."""
    return ActionItemOut.model_validate(await followups.action_items.complete(action_item_id))


@router.post("/action-items/{action_item_id}/reopen", tags=ACTION_ITEMS)
async def reopen_action_item(followups: Service, action_item_id: Id) -> ActionItemOut:
    """Notes that it is not done after all."""
    return ActionItemOut.model_validate(await followups.action_items.reopen(action_item_id))


@router.post("/follow-up-experiments", status_code=201, tags=EXPERIMENTS)
async def create_experiment(followups: Service, experiment: ExperimentIn) -> ExperimentOut:
    """Stores an A/B test of texts."""
    return ExperimentOut.model_validate(await followups.experiments.create(experiment))


@router.get("/follow-up-experiments", tags=EXPERIMENTS)
async def list_experiments(followups: Service) -> list[ExperimentOut]:
    """Every experiment."""
    return [ExperimentOut.model_validate(row) for row in await followups.experiments.list()]


@router.get("/follow-up-experiments/{name}", tags=EXPERIMENTS)
async def get_experiment_result(followups: Service, name: ExperimentName) -> ExperimentResult:
    """What became of each variant so far, and whether a difference can be told."""
    return await followups.experiments.get_result(name)


@router.post("/follow-up-experiments/{name}/end", tags=EXPERIMENTS)
async def end_experiment(followups: Service, name: ExperimentName) -> ExperimentOut:
    """Takes no more follow-ups into an experiment."""
    return ExperimentOut.model_validate(await followups.experiments.end(name))
