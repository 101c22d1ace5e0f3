"""HTTP endpoints of the follow-ups. Every one is a verb of the service; times in answers are UTC."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from tidings.features.followups.queries import MAX_DAYS
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

ExperimentName = Annotated[str, Path(max_length=64)]
Days = Annotated[int, Query(ge=1, le=MAX_DAYS, description="How many days back.")]


def followups_router(followups: FollowUps) -> APIRouter:
    """The router over one service."""
    router = APIRouter()
    _list_routes(router, followups)
    _follow_up_routes(router, followups)
    _action_item_routes(router, followups)
    _experiment_routes(router, followups)
    return router


def _list_routes(router: APIRouter, followups: FollowUps) -> None:
    tags: list[Any] = ["follow-ups"]

    @router.get("/follow-ups/pending", tags=tags)
    async def get_pending_follow_ups(limit: Limit = 100) -> list[FollowUpOut]:
        """Follow-ups that are still to go out, the next one first."""
        return [FollowUpOut.model_validate(row) for row in await followups.get_pending_follow_ups(limit)]

    @router.get("/follow-ups/due", tags=tags)
    async def get_due_follow_ups(limit: Limit = 100) -> list[FollowUpOut]:
        """Follow-ups whose time has come and that wait for a worker."""
        return [FollowUpOut.model_validate(row) for row in await followups.get_due_follow_ups(limit)]

    @router.get("/follow-ups/stats", tags=tags)
    async def get_scheduler_stats() -> SchedulerStats:
        """Counts by status, what is due, what was sent today, and the queue's jobs."""
        return await followups.get_scheduler_stats()

    @router.get("/follow-ups/effectiveness", tags=tags)
    async def get_effectiveness(days: Days = 30) -> list[Effectiveness]:
        """How well each type of follow-up works."""
        return await followups.get_effectiveness(days)

    @router.get("/contractors/{contractor_id}/follow-ups", tags=tags)
    async def get_contractor_follow_ups(
        contractor_id: Id, status: Status | None = None, after_id: After = 0, limit: Limit = 100
    ) -> list[FollowUpOut]:
        """A contractor's follow-ups in order of id; the last id is the next page's `after_id`."""
        rows = await followups.get_contractor_follow_ups(contractor_id, status=status, after_id=after_id, limit=limit)
        return [FollowUpOut.model_validate(row) for row in rows]

    @router.put("/contractors/{contractor_id}/vip", tags=tags)
    async def set_vip(contractor_id: Id, change: VipIn) -> Counted:
        """Has a contractor's follow-ups go first, or not any more."""
        return Counted(messages=await followups.set_vip(contractor_id, change.vip))


def _follow_up_routes(router: APIRouter, followups: FollowUps) -> None:
    tags: list[Any] = ["follow-ups"]

    @router.post("/follow-ups", status_code=201, tags=tags)
    async def schedule_follow_up(follow_up: FollowUpIn) -> FollowUpOut:
        """Schedules a follow-up; a naive time is the contractor's local time."""
        return FollowUpOut.model_validate(await followups.schedule_follow_up(follow_up))

    @router.get("/follow-ups/{follow_up_id}", tags=tags)
    async def get_follow_up(follow_up_id: Id) -> FollowUpOut:
        """One follow-up."""
        return FollowUpOut.model_validate(await followups.get_follow_up(follow_up_id))

    @router.delete("/follow-ups/{follow_up_id}", tags=tags)
    async def cancel_follow_up(follow_up_id: Id, only_this: bool = False) -> FollowUpOut:
        """Cancels a follow-up that has not gone out, and with it its series, or `only_this` occurrence."""
        return FollowUpOut.model_validate(await followups.cancel_follow_up(follow_up_id, only_this=only_this))

    @router.post("/follow-ups/{follow_up_id}/draft", tags=tags)
    async def personalize_message(follow_up_id: Id) -> DraftOut:
        """The text as it would be written now; nothing is sent."""
        return DraftOut.model_validate(await followups.personalize_message(follow_up_id))

    @router.post("/follow-ups/{follow_up_id}/send", tags=tags)
    async def send_follow_up_message(follow_up_id: Id) -> FollowUpOut:
        """Sends a follow-up now instead of at its time."""
        return FollowUpOut.model_validate(await followups.send_follow_up_message(follow_up_id))

    @router.post("/follow-ups/{follow_up_id}/sent", tags=tags)
    async def mark_follow_up_sent(follow_up_id: Id, sent: SentIn) -> FollowUpOut:
        """Notes that somebody sent it by other means."""
        return FollowUpOut.model_validate(await followups.mark_follow_up_sent(follow_up_id, sent.sent_by))

    @router.post("/follow-ups/{follow_up_id}/response", tags=tags)
    async def record_follow_up_response(follow_up_id: Id, response: ResponseIn) -> FollowUpOut:
        """Stores by hand what the contractor answered."""
        return FollowUpOut.model_validate(await followups.record_follow_up_response(follow_up_id, response))


def _action_item_routes(router: APIRouter, followups: FollowUps) -> None:
    tags: list[Any] = ["action items"]

    @router.post("/action-items", status_code=201, tags=tags)
    async def create_action_item(item: ActionItemIn) -> ActionItemOut:
        """Stores something that a contractor has to do."""
        return ActionItemOut.model_validate(await followups.create_action_item(item))

    @router.get("/action-items", tags=tags)
    async def list_action_items(
        contractor_id: Id | None = None, completed: bool | None = None, after_id: After = 0, limit: Limit = 100
    ) -> list[ActionItemOut]:
        """Action items in order of id; the last id is the next page's `after_id`."""
        rows = await followups.list_action_items(
            contractor_id=contractor_id, completed=completed, after_id=after_id, limit=limit
        )
        return [ActionItemOut.model_validate(row) for row in rows]

    @router.get("/action-items/{action_item_id}", tags=tags)
    async def get_action_item(action_item_id: Id) -> ActionItemOut:
        """One action item."""
        return ActionItemOut.model_validate(await followups.get_action_item(action_item_id))

    @router.post("/action-items/{action_item_id}/complete", tags=tags)
    async def complete_action_item(action_item_id: Id) -> ActionItemOut:
        """Notes that it is done."""
        return ActionItemOut.model_validate(await followups.complete_action_item(action_item_id))

    @router.post("/action-items/{action_item_id}/reopen", tags=tags)
    async def reopen_action_item(action_item_id: Id) -> ActionItemOut:
        """Notes that it is not done after all."""
        return ActionItemOut.model_validate(await followups.reopen_action_item(action_item_id))


def _experiment_routes(router: APIRouter, followups: FollowUps) -> None:
    tags: list[Any] = ["follow-up experiments"]

    @router.post("/follow-up-experiments", status_code=201, tags=tags)
    async def create_experiment(experiment: ExperimentIn) -> ExperimentOut:
        """Stores an A/B test of texts."""
        return ExperimentOut.model_validate(await followups.create_experiment(experiment))

    @router.get("/follow-up-experiments", tags=tags)
    async def list_experiments() -> list[ExperimentOut]:
        """Every experiment."""
        return [ExperimentOut.model_validate(row) for row in await followups.list_experiments()]

    @router.get("/follow-up-experiments/{name}", tags=tags)
    async def get_experiment_result(name: ExperimentName) -> ExperimentResult:
        """What became of each variant so far, and whether a difference can be told."""
        return await followups.get_experiment_result(name)

    @router.post("/follow-up-experiments/{name}/end", tags=tags)
    async def end_experiment(name: ExperimentName) -> ExperimentOut:
        """Takes no more follow-ups into an experiment."""
        return ExperimentOut.model_validate(await followups.end_experiment(name))
