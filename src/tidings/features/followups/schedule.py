"""A new follow-up: what it names must exist, its template must work, and its times are read where the person is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import to_milliseconds
from tidings.errors import Conflict, InvalidInput, NotFound
from tidings.features.followups.action_items import find_action_item
from tidings.features.followups.experiments import find_experiment
from tidings.features.followups.kind import FollowUpMessages
from tidings.features.followups.models import EVENTS, FollowUp, priority_for
from tidings.features.followups.rules.texts import VARIABLES, text_of
from tidings.features.followups.rules.variants import pick
from tidings.features.followups.schemas import FollowUpIn
from tidings.fields import in_zone
from tidings.messages.contacts.contractors import Contractor, require_own
from tidings.messages.gate.zones import zone_of
from tidings.messages.statuses import Reason, Status
from tidings.messages.text.templates import check
from tidings.work import Unit


async def add_follow_up(unit: Unit, wanted: FollowUpIn, now: datetime, timezone: str) -> FollowUp:
    """Stores a follow-up and arms its job. `timezone` is that of contractors and events without one.

    Raises InvalidInput, NotFound, TemplateError for a template that cannot be rendered, and Conflict for an
    experiment that has ended.
    """
    session = unit.session
    # Locked, so that nobody makes a VIP of the contractor between this look and the commit.
    person = await session.get(Contractor, wanted.contractor_id, with_for_update={"read": True})
    if person is None:
        raise NotFound("contractor", wanted.contractor_id)
    require_own(person)
    event_timezone = None
    if wanted.event_id is not None:
        event_timezone = await session.scalar(select(EVENTS.c.timezone).where(EVENTS.c.id == wanted.event_id))
        if event_timezone is None:
            raise NotFound("event", wanted.event_id)
    zone = zone_of(person.phone, person.timezone, timezone, event=event_timezone).name
    moment = to_milliseconds(in_zone(wanted.scheduled_time, zone))
    row = FollowUp(
        **wanted.model_dump(exclude={"scheduled_time", "not_after", "experiment"}),
        **_times(wanted, moment, zone),
        priority=priority_for(person.vip),
        status=Status.SCHEDULED,
        status_reason=Reason.BY_REQUEST,
        created_at=now,
        updated_at=now,
    )
    await _choose_text(session, row, wanted)
    await _try_text(session, row, person)
    session.add(row)
    await session.flush()
    if row.is_recurring:
        row.series_id = row.id
        await session.flush()
    unit.arm(FollowUpMessages.job(row))
    return row


def _times(wanted: FollowUpIn, moment: datetime, zone: str) -> dict[str, Any]:
    if wanted.is_recurring and wanted.recurrence_interval_days is None:
        raise InvalidInput("recurrence_interval_days", "is missing; say after how many days the follow-up recurs")
    if wanted.recurrence_interval_days is not None and not wanted.is_recurring:
        raise InvalidInput(
            "is_recurring", "is false, but recurrence_interval_days is given; set it, or leave both out"
        )
    not_after = None if wanted.not_after is None else to_milliseconds(in_zone(wanted.not_after, zone))
    if not_after is not None and not_after <= moment:
        raise InvalidInput("not_after", "is not later than scheduled_time, so the follow-up would never go out")
    first = None
    if wanted.is_recurring:
        given = wanted.scheduled_time
        # What somebody writes as a wall-clock time recurs as that, even if DST skips it the first time.
        local = given if given.tzinfo is None else given.astimezone(UTC).astimezone(ZoneInfo(zone))
        first = to_milliseconds(local.replace(tzinfo=None, fold=0))
    return {"scheduled_time": moment, "not_after": not_after, "first_local_time": first}


async def _choose_text(session: AsyncSession, row: FollowUp, wanted: FollowUpIn) -> None:
    if (wanted.message_template is None) == (wanted.experiment is None):
        raise InvalidInput("message_template", "give either a message_template or an experiment, which has its own")
    if wanted.experiment is None:
        return
    experiment = await find_experiment(session, wanted.experiment)
    if experiment.ended_at is not None:
        raise Conflict(f"experiment {experiment.name} has ended; give a message_template instead")
    variant = pick(experiment.name, wanted.contractor_id, experiment.variants)
    row.experiment_id, row.variant = experiment.id, variant["key"]
    row.message_template = variant["message_template"]
    row.message_tone = variant["message_tone"] or wanted.message_tone


async def _try_text(session: AsyncSession, row: FollowUp, person: Contractor) -> None:
    """A mistake in the template is told now, to whoever makes it, and not at the hour of sending."""
    item: Mapping[str, Any] = dict.fromkeys(("action_item_title", "action_item_description", "action_item_due_date"))
    if row.action_item_id is not None:
        found = await find_action_item(session, row.action_item_id)
        if found.contractor_id != row.contractor_id:
            raise InvalidInput(
                "action_item_id", f"action item {found.id} belongs to another contractor, {found.contractor_id}"
            )
        item = {f"action_item_{name}": getattr(found, name) for name in ("title", "description", "due_date")}
    check(row.message_template, VARIABLES)
    names = ("name", "first_name", "last_name", "email", "company_name")
    known = {name: getattr(person, name) for name in names}
    text_of(
        row.message_template,
        {**known, **item, "event_id": row.event_id, "ai_context_hints": row.ai_context_hints},
    )
