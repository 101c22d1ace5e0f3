"""Why did it (not) go out? The ledger's lines about one message, said in plain sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import NotFound
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.delivery.breaker import SINCE
from tidings.messages.gate.terms import ConsentNeed
from tidings.messages.gate.zones import Zone, ZoneSource, zone_of
from tidings.messages.inbound.stored import StoredReply, replies_to
from tidings.messages.kind import MessageKind, require_name
from tidings.messages.ledger import DeliveryStatus, LedgerEntry, Outcome, history, lines_after
from tidings.messages.statuses import OPEN, Reason, Status
from tidings.work import Work


@dataclass(frozen=True, slots=True)
class Story:
    """A message's story: where it stands, and one sentence or more for everything that happened to it.

    `zone` is where its recipient is taken to be, None for a number that nobody knows.
    """

    message: str
    status: str
    summary: str
    sentences: tuple[str, ...]
    lines: Sequence[LedgerEntry]
    zone: Zone | None = None

    @property
    def timezone(self) -> str | None:
        return self.zone.name if self.zone else None

    @property
    def timezone_source(self) -> ZoneSource | None:
        return self.zone.source if self.zone else None


class Why:
    """Answers for every message of `kinds`, which are loaded as far as they are looked at.

    `kept_days` is for how many days the ledger keeps its lines, 0 for ever; `timezone` (IANA) is the default one.
    """

    def __init__(
        self,
        work: Work,
        kinds: Callable[[], Iterable[type[MessageKind]]],
        *,
        kept_days: int = 0,
        timezone: str = "UTC",
    ) -> None:
        self._work = work
        self._kinds = kinds
        self._kept_days = kept_days
        self._timezone = timezone

    async def explain(self, name: str) -> Story:
        """The story of `event-message-123` and the like. Raises InvalidInput and NotFound."""
        kind, message_id = require_name(name)
        found = next((one for one in self._kinds() if one.name == kind), None)
        if found is None:
            names = sorted(one.name for one in self._kinds())
            raise NotFound("kind of message", f"{kind}; there are {', '.join(names)}")
        async with self._work.read() as session:
            row = await session.get(found.model, message_id)
            if row is None:
                raise NotFound(kind, message_id)
            lines = await history(session, kind, message_id)
            replies = await replies_to(session, kind, message_id)
            zone = await self._zone(session, found, row)
        story = sorted(
            [entry for line in lines for entry in _story(line)]
            + [(reply.received_at, _reply(reply)) for reply in replies],
            key=lambda entry: entry[0],
        )
        sequel = found.sequel(row)
        sentences = (*self._gone(row), *(sentence for _, sentence in story), *([sequel] if sequel else []))
        return Story(name, row.status, summary_of(row), sentences, lines, zone)

    async def _zone(self, session: AsyncSession, kind: type[MessageKind], row: Any) -> Zone | None:
        """Where the recipient of a message is."""
        contact_id = kind.contact_of(row)
        contact = await session.get(Contractor, contact_id) if contact_id is not None else None
        if contact is None:
            return None
        event, tenant = await kind.timezones(session, row)
        return zone_of(contact.phone, contact.timezone, tenant or self._timezone, event=event)

    def _gone(self, row: Any) -> Iterator[str]:
        """Says what may be missing: lines that were old enough to be deleted."""
        before = self._work.clock.now() - timedelta(days=self._kept_days)
        if self._kept_days and row.created_at < before and row.status not in (*OPEN, Status.WAITING, Status.UNKNOWN):
            yield (
                f"What happened before {_moment(before)} is not kept any more: the ledger's lines are deleted "
                f"after {self._kept_days} days (TIDINGS_KEEP_LEDGER_DAYS)."
            )

    async def count_open(self, until: datetime) -> dict[str, int]:
        """How many messages of each kind are still to go out by `until` (UTC), those under way included.

        A message that was put off beyond it does not count.
        """
        counts: dict[str, int] = {}
        async with self._work.read() as session:
            for kind in self._kinds():
                model = kind.model
                held = or_(model.held_until.is_(None), model.held_until <= until)
                query = select(func.count()).where(model.status.in_(OPEN), model.scheduled_time <= until, held)
                counts[kind.name] = await session.scalar(query) or 0
        return counts

    async def lines_after(self, line_id: int, limit: int = 1000) -> list[dict[str, Any]]:
        """The ledger's lines of every feature after the one with this id, with the names of their contacts."""
        async with self._work.read() as session:
            return await lines_after(session, line_id, limit)


def summary_of(row: Any) -> str:
    """Where a message stands now."""
    reason = Reason(row.status_reason).sentence if row.status_reason else None
    match row.status:
        case Status.SENT:
            return "It was sent."
        case Status.SIMULATED:
            return "It was simulated: its channel has no provider, so nobody got it. tidings doctor says what to set."
        case Status.FAILED:
            return f"It failed: {row.error_message}."
        case Status.SKIPPED:
            return f"It was not sent: {reason or 'no reason was stored'}."
        case Status.CANCELLED:
            return f"It was cancelled: {reason or 'no reason was stored'}."
        case Status.UNKNOWN:
            return (
                f"It may have been sent: {row.error_message}. It is not sent again by itself; a delivery report "
                "settles it, or a person does: tidings messages settle."
            )
        case Status.SENDING:
            return "It is being sent right now, or its sender died and another one takes over soon."
        case _:
            due = row.scheduled_time if row.held_until is None else max(row.scheduled_time, row.held_until)
            if row.status == Status.SCHEDULED and SINCE in (row.error_message or ""):
                return f"It waits until its provider is back: {row.error_message}. It looks again by {_moment(due)}."
            return f"It waits until {_moment(due)}."


def _story(line: LedgerEntry) -> Iterator[tuple[datetime, str]]:
    """What one line says, and when each of it happened."""
    said = (f"{_moment(line.at)}: {outcome_of(line)}", *considered(line.inputs or {}, line.at))
    yield from ((line.at, sentence) for sentence in said)
    is_news = line.delivery_status != DeliveryStatus.SENT or line.outcome == Outcome.UNKNOWN
    if line.delivery_status and is_news and line.delivery_status_at:
        failed = line.delivery_status == DeliveryStatus.FAILED and line.outcome == Outcome.SENT
        error = f": {line.error}" if failed and line.error else ""
        at = line.delivery_status_at
        yield at, f"{_moment(at)}: the provider reported {line.delivery_status}{error}."


def outcome_of(line: LedgerEntry) -> str:
    """What one line says happened, without the moment."""
    reason = Reason(line.reason).sentence if line.reason else None
    match line.outcome:
        case Outcome.SENT if line.reason == Reason.BY_REQUEST:
            return "somebody noted that it was sent."
        case Outcome.SENT if line.provider is None:
            return "it had left by another way, as its report says."
        case Outcome.SENT:
            late = f", {_late(line.lateness_ms)}" if line.lateness_ms is not None else ""
            return f"handed to {line.provider} by {line.channel}{late} (attempt {line.attempt})."
        case Outcome.SIMULATED:
            late = f", {_late(line.lateness_ms)}" if line.lateness_ms is not None else ""
            return f"the simulator took it{late}, since no provider of {line.channel} is set up: nobody got it."
        case Outcome.RETRY:
            return f"{line.provider or 'the provider'} did not take it (attempt {line.attempt}): {line.error}."
        case Outcome.FAILED:
            return f"it failed for good (attempt {line.attempt}): {line.error}."
        case Outcome.DEFERRED if line.reason == Reason.PROVIDER_AWAY:
            return f"not handed over, which counts as no attempt: {line.error}."
        case Outcome.DEFERRED:
            return f"it was put off, because {reason}."
        case Outcome.SKIPPED:
            return f"it was not sent, because {reason}."
        case Outcome.CANCELLED:
            return f"it was cancelled, because {reason}."
        case Outcome.UNKNOWN:
            return (
                f"handed to {line.provider} by {line.channel} (attempt {line.attempt}), and nobody knows "
                f"whether it was taken: {line.error}."
            )
        case Outcome.AGAIN:
            return "somebody asked for it to be sent again, with the same idempotency key."
        case Outcome.IN_DOUBT:
            return (
                f"attempt {line.attempt} had ended without an outcome, because its sender stopped or failed. "
                "The message may have left in it; the next attempt has the same idempotency key."
            )
    raise ValueError(f"{line.outcome} is no outcome")


def considered(inputs: Mapping[str, Any], at: datetime) -> Iterator[str]:
    """What a decision was made from, as far as it was looked at."""
    if since := inputs.get("opted_out_since"):
        yield f"The recipient had opted out at {_moment(datetime.fromisoformat(since))}."
    if consent := inputs.get("consent"):
        yield _consent(consent["needed"], consent["granted"])
    if trust := inputs.get("trust"):
        yield f"The recipient's trust was {trust['score']:g} of 100; the message needed {trust['needed']:g}."
    if frequency := inputs.get("frequency"):
        caps = " and ".join(frequency["caps"]) or "none"
        yield f"Promotional messages that the recipient had lately: {frequency['had']}; the caps are {caps}."
    if quiet := inputs.get("quiet_hours"):
        clocks = ", ".join(f"{at.astimezone(ZoneInfo(zone)):%H:%M} in {zone}" for zone in quiet["zones"][:3])
        more = f" and {len(quiet['zones']) - 3} more zones" if len(quiet["zones"]) > 3 else ""
        yield f"It was {clocks}{more}; quiet hours are {quiet['hours']}."
    if inputs.get("not_after"):
        yield f"It was of use until {_moment(datetime.fromisoformat(inputs['not_after']))}."
    if written := inputs.get("written_by"):
        why = f", since {written['fallback']}" if written["fallback"] else ""
        model = f" ({written['model']})" if written["model"] else ""
        yield f"Its text was written by {written['author']}{model}{why}."


def _consent(needed: str, granted: bool | None) -> str:
    stands = {True: "has consented", False: "has taken consent back", None: "has not said anything about consent"}[
        granted
    ]
    wants = "needs consent" if needed == ConsentNeed.GRANTED else "goes unless consent was taken back"
    return f"The recipient {stands}; such a message {wants}."


def _reply(reply: StoredReply) -> str:
    shown = reply.text if len(reply.text) <= 80 else reply.text[:79] + "…"
    return f"{_moment(reply.received_at)}: they replied {shown!r} ({reply.action_taken.replace('_', ' ')})."


def _late(milliseconds: float) -> str:
    if milliseconds < 1000:
        return f"{max(milliseconds, 0):.0f} ms after its time"
    return f"{milliseconds / 1000:,.0f} s after its time"


def _moment(at: datetime) -> str:
    return f"{at:%a %d %b %Y %H:%M:%S} UTC"
