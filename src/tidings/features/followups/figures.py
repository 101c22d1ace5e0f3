"""Figures about the follow-ups: how well each type and each variant works, and how the scheduler stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import InvalidInput
from tidings.features.followups.jobs import CONTRACTOR_FOLLOWUPS, FOLLOW_UP
from tidings.features.followups.kind import SENT_BY_WORKER
from tidings.features.followups.models import Experiment, FollowUp
from tidings.features.followups.queries import due_by
from tidings.features.followups.replies import OPTED_OUT, POSITIVE
from tidings.features.followups.rules.rates import wilson
from tidings.features.followups.schemas import Effectiveness, SchedulerStats, VariantResult
from tidings.messages.ledger import HANDED_OVER, LedgerEntry
from tidings.messages.statuses import OPEN, Reason, Status
from tidings.work import Work

MAX_DAYS = 3650

_SENT = FollowUp.status == Status.SENT
_REPLIED = FollowUp.sentiment_score.is_not(None)
_POSITIVE = FollowUp.sentiment_score >= POSITIVE
_OPTED_OUT = FollowUp.action_taken == OPTED_OUT
_BY_WORKER = FollowUp.sent_by == SENT_BY_WORKER
_AUTHOR = LedgerEntry.inputs["written_by"]["author"].as_string()

_BY_AI = (
    select(FollowUp.id)
    .join(LedgerEntry, and_(LedgerEntry.kind == FOLLOW_UP, LedgerEntry.message_id == FollowUp.id))
    .where(_SENT, _BY_WORKER, LedgerEntry.outcome.in_(HANDED_OVER), _AUTHOR != "template")
)
"""The follow-ups that the worker sent in an AI's words."""


class Figures:
    """What the figures are asked by. `timezone` is the default one, whose midnight begins a day."""

    def __init__(self, work: Work, *, timezone: str) -> None:
        self._work = work
        self._timezone = timezone

    async def get_effectiveness(self, days: int = 30) -> list[Effectiveness]:
        """How well each type of follow-up did in the last `days`. Raises InvalidInput."""
        if not 1 <= days <= MAX_DAYS:
            raise InvalidInput("days", f"is {days}; give a number from 1 to {MAX_DAYS}")
        async with self._work.read() as session:
            return await effectiveness(session, self._work.clock.now() - timedelta(days=days))

    async def get_scheduler_stats(self) -> SchedulerStats:
        """Counts by status, what is due, what was sent today, and the queue's jobs."""
        now = self._work.clock.now()
        today = now.astimezone(ZoneInfo(self._timezone)).date()
        midnight = datetime.combine(today, time(), ZoneInfo(self._timezone)).astimezone(UTC)
        async with self._work.read() as session:
            counts = await scheduler_figures(session, now, midnight)
        queue = (await self._work.queues.stats(CONTRACTOR_FOLLOWUPS.name)).as_dict()
        return SchedulerStats(**counts, queue=queue)


async def effectiveness(session: AsyncSession, since: datetime) -> list[Effectiveness]:
    """How each type of follow-up did that was sent, or skipped as done, since a moment (UTC)."""
    sent = (_SENT, FollowUp.sent_at >= since)
    rows = await session.execute(
        select(
            FollowUp.followup_type,
            func.count().label("sent"),
            _how_many(~_BY_WORKER).label("sent_by_hand"),
            _how_many(_REPLIED).label("replied"),
            _how_many(_POSITIVE).label("positive"),
            _how_many(_OPTED_OUT).label("opt_outs"),
        )
        .where(*sent)
        .group_by(FollowUp.followup_type)
    )
    found: dict[str, dict[str, Any]] = {row["followup_type"]: dict(row) for row in rows.mappings()}
    done = (
        FollowUp.status == Status.SKIPPED,
        FollowUp.status_reason == Reason.ACTION_ITEM_COMPLETED,
        FollowUp.updated_at >= since,
    )
    skipped = await _by_type(session, select(FollowUp.id).where(*done))
    by_ai = await _by_type(session, _BY_AI.where(*sent))
    minutes = await _minutes(session, FollowUp.followup_type, *sent)
    return [
        _effectiveness(kind, found.get(kind, {}), skipped.get(kind, 0), by_ai.get(kind, 0), minutes.get(kind, ()))
        for kind in sorted({*found, *skipped})
    ]


async def variant_results(session: AsyncSession, experiment: Experiment) -> list[VariantResult]:
    """What became of each variant of an experiment, counted in people."""
    mine = FollowUp.experiment_id == experiment.id
    rows = await session.execute(
        select(
            FollowUp.variant,
            _people(FollowUp.status.in_(OPEN)).label("scheduled"),
            _people(_SENT).label("sent"),
            _people(and_(_SENT, _REPLIED)).label("replied"),
            _people(and_(_SENT, _POSITIVE)).label("positive_replies"),
            _people(and_(_SENT, _OPTED_OUT)).label("opt_outs"),
        )
        .where(mine)
        .group_by(FollowUp.variant)
    )
    found = {row["variant"]: dict(row) for row in rows.mappings()}
    minutes = await _minutes(session, FollowUp.variant, mine, _SENT)
    names = ("scheduled", "sent", "replied", "positive_replies", "opt_outs")
    results: list[VariantResult] = []
    for key in (variant["key"] for variant in experiment.variants):
        counts = {name: found.get(key, {}).get(name, 0) for name in names}
        low, high = wilson(counts["replied"], counts["sent"])
        results.append(
            VariantResult(
                key=key,
                **counts,
                reply_rate=_rate(counts["replied"], counts["sent"]) or 0.0,
                low=round(low, 4),
                high=round(high, 4),
                median_minutes_to_reply=_median(minutes.get(key, ())),
            )
        )
    return results


async def scheduler_figures(session: AsyncSession, now: datetime, midnight: datetime) -> dict[str, Any]:
    """Counts by status, what is due at the moment `now`, and what was sent since `midnight` (both UTC)."""
    by_status = await session.execute(select(FollowUp.status, func.count()).group_by(FollowUp.status))
    counts = {row[0]: row[1] for row in by_status}
    sent_today = (_SENT, FollowUp.sent_at >= midnight)
    sent = await _count(session, select(FollowUp.id).where(*sent_today))
    by_worker = await _count(session, select(FollowUp.id).where(*sent_today, _BY_WORKER))
    by_ai = await _count(session, _BY_AI.where(*sent_today))
    return {
        "by_status": {status: counts.get(status, 0) for status in Status},
        "due_now": await _count(session, select(FollowUp.id).where(*due_by(now))),
        "next_due": await session.scalar(
            select(func.min(FollowUp.scheduled_time)).where(
                FollowUp.status == Status.SCHEDULED, FollowUp.scheduled_time > now
            )
        ),
        "sent_today": sent,
        "ai_written_today": by_ai,
        "from_template_today": by_worker - by_ai,
    }


def _how_many(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))


def _people(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, FollowUp.contractor_id)).distinct())


async def _count(session: AsyncSession, ids: Any) -> int:
    chosen = ids.distinct().subquery()
    return await session.scalar(select(func.count()).select_from(chosen)) or 0


async def _by_type(session: AsyncSession, ids: Any) -> dict[str, int]:
    rows = await session.execute(
        select(FollowUp.followup_type, func.count()).where(FollowUp.id.in_(ids)).group_by(FollowUp.followup_type)
    )
    return {row[0]: row[1] for row in rows}


async def _minutes(session: AsyncSession, group: Any, *conditions: ColumnElement[bool]) -> dict[str, list[float]]:
    """Minutes from sending to the first reply, for each value of a column."""
    rows = await session.execute(
        select(group, FollowUp.sent_at, FollowUp.response_received_at).where(_REPLIED, *conditions)
    )
    found: dict[str, list[float]] = defaultdict(list)
    for key, sent_at, received_at in rows:
        if sent_at is not None and received_at is not None:
            found[key].append(max((received_at - sent_at).total_seconds() / 60, 0.0))
    return found


def _effectiveness(
    followup_type: str, counts: dict[str, Any], skipped: int, by_ai: int, minutes: Iterable[float]
) -> Effectiveness:
    sent, by_hand, replied = (counts.get(name, 0) for name in ("sent", "sent_by_hand", "replied"))
    return Effectiveness(
        followup_type=followup_type,
        sent=sent,
        sent_by_hand=by_hand,
        replied=replied,
        reply_rate=_rate(replied, sent) or 0.0,
        positive_share=_rate(counts.get("positive", 0), replied),
        opt_outs=counts.get("opt_outs", 0),
        median_minutes_to_reply=_median(minutes),
        skipped_because_done=skipped,
        ai_written=by_ai,
        from_template=sent - by_hand - by_ai,
        ai_share=_rate(by_ai, sent - by_hand),
    )


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _median(minutes: Iterable[float]) -> float | None:
    known = list(minutes)
    return round(median(known), 2) if known else None
