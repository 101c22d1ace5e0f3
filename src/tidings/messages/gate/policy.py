"""The gate: whether a message goes out now. One place decides for every feature, and its reasons are stored.

The decision is a pure function of the message, what is known about its recipient, the rules and the moment.
Its order: what makes a message pointless, what forbids it, and then what only makes it wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tidings.messages.gate.quiet_hours import zones_of
from tidings.messages.gate.rules import Rules
from tidings.messages.gate.terms import ConsentNeed, IfBlocked, Purpose, Terms
from tidings.messages.kind import Message
from tidings.messages.statuses import Reason


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known about a message's recipient when it is decided about, by what concerns the message's tenant.

    `unsure_since` is when the recipient wrote something that may have meant STOP, while nobody has decided about it.
    `consent` is the latest word about the message's channel, `admitted` are the moments at which promotional
    messages to this contact were let out within the longest cap, the oldest first.
    """

    opted_out_since: datetime | None = None
    unsure_since: datetime | None = None
    consent: bool | None = None
    trust: float | None = None
    admitted: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class Send:
    """It goes out now."""

    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Defer:
    """It goes out later, if the gate then agrees."""

    until: datetime
    reason: Reason
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Skip:
    """It does not go out."""

    reason: Reason
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refuse:
    """It cannot go out, and trying again would not help."""

    error: str
    inputs: Mapping[str, Any] = field(default_factory=dict)


Decision = Send | Defer | Skip | Refuse

DECIDED_SOON = timedelta(minutes=5)
"""Until a promotional message is looked at again that waits for a person to decide whether somebody meant STOP."""


def decide(message: Message, standing: Standing, rules: Rules, now: datetime) -> Decision:
    """The decision about one message at the moment `now` (UTC), with what it was made from."""
    terms = message.terms
    zones = _zones(message, rules)
    inputs = _inputs(message, standing, rules, zones)
    if message.obsolete is not None:
        return Skip(message.obsolete, inputs)
    if message.not_after is not None and now > message.not_after:
        return Skip(Reason.EXPIRED, inputs)
    if message.address is None:
        what = "mail address" if message.channel == "email" else "phone number"
        return Refuse(f"no {what}: the contractor has none and the message names none", inputs)
    if standing.opted_out_since is not None and not terms.despite_opt_out:
        return Skip(Reason.OPTED_OUT, inputs)
    if standing.unsure_since is not None and terms.purpose is Purpose.PROMOTIONAL:
        return _until_decided(message, now, inputs)
    if terms.consent is not ConsentNeed.NONE and standing.consent is False:
        return Skip(Reason.CONSENT_REVOKED, inputs)
    if terms.consent is ConsentNeed.GRANTED and standing.consent is None:
        return Skip(Reason.NO_CONSENT, inputs)
    if terms.min_trust is not None and standing.trust is not None and standing.trust < terms.min_trust:
        return Skip(Reason.LOW_TRUST, inputs)
    decision = _timing(message, standing, rules, zones, now, inputs)
    if isinstance(decision, Send) and message.undeliverable is not None:
        return Refuse(message.undeliverable, inputs)
    return decision


def quiet_until(
    rules: Rules,
    terms: Terms,
    now: datetime,
    *,
    phone: str | None,
    timezone: str | None,
    not_after: datetime | None,
) -> Defer | None:
    """When a message may go next that only quiet hours would keep waiting at its turn; None: let it have its turn.

    For those who plan turns for many: a message that has none during quiet hours costs nobody's. `rules` are the
    tenant's.
    """
    hours = rules.hours_for(phone)
    if hours is None or terms.in_quiet_hours is not IfBlocked.DEFER:
        return None
    zones = zones_of(phone, timezone, rules.timezone)
    until = hours.next_allowed(now, zones)
    if until is None or until <= now or (not_after is not None and until > not_after):
        return None
    return Defer(until, Reason.QUIET_HOURS, {"quiet_hours": {"hours": str(hours), "zones": list(zones)}})


def _until_decided(message: Message, now: datetime, inputs: Mapping[str, Any]) -> Decision:
    """Somebody may have asked for no more messages: a person decides, and until then it is looked at again."""
    until = now + DECIDED_SOON
    if message.not_after is not None and until > message.not_after:
        return Skip(Reason.UNSURE, inputs)
    return Defer(until, Reason.UNSURE, inputs)


def _timing(
    message: Message,
    standing: Standing,
    rules: Rules,
    zones: tuple[str, ...],
    now: datetime,
    inputs: Mapping[str, Any],
) -> Decision:
    """Now, later, or never: frequency caps first, then quiet hours, since the end of a cap may fall into them."""
    terms = message.terms
    until, reason = now, None
    if terms.purpose is Purpose.PROMOTIONAL and terms.at_cap is not IfBlocked.SEND:
        until = _free_at(standing, rules, now)
        reason = Reason.FREQUENCY_CAP if until > now else None
        if reason and terms.at_cap is IfBlocked.DROP:
            return Skip(reason, inputs)
    hours = rules.hours_for(_phone_of(message))
    if hours is not None and terms.in_quiet_hours is not IfBlocked.SEND:
        allowed = hours.next_allowed(until, zones)
        if allowed is None:
            return Skip(Reason.NEVER_ALLOWED, inputs)
        if allowed > until:
            until, reason = allowed, reason or Reason.QUIET_HOURS
            if terms.in_quiet_hours is IfBlocked.DROP:
                return Skip(reason, inputs)
    if reason is None:
        return Send(inputs)
    if message.not_after is not None and until > message.not_after:
        return Skip(reason, inputs)  # by then it would be of no use
    return Defer(until, reason, inputs)


def _free_at(standing: Standing, rules: Rules, now: datetime) -> datetime:
    """The first moment at which every cap has a place for one more."""
    free = now
    for cap in rules.caps:
        within = [at for at in standing.admitted if at > now - cap.window]
        if len(within) >= cap.most:
            free = max(free, within[-cap.most] + cap.window)
    return free


def _zones(message: Message, rules: Rules) -> tuple[str, ...]:
    phone = _phone_of(message)
    if message.terms.in_quiet_hours is IfBlocked.SEND or rules.hours_for(phone) is None:
        return ()
    return zones_of(phone, message.timezone, rules.timezone)


def _phone_of(message: Message) -> str | None:
    return None if message.channel == "email" else message.address


def _inputs(message: Message, standing: Standing, rules: Rules, zones: tuple[str, ...]) -> dict[str, Any]:
    """What the decision is made from, as the ledger keeps it; what was not looked at is left out."""
    terms = message.terms
    found: dict[str, Any] = {
        "scheduled_time": message.scheduled_time.isoformat(),
        "not_after": message.not_after.isoformat() if message.not_after else None,
        "has_address": message.address is not None,
        "purpose": terms.purpose,
        "opted_out_since": standing.opted_out_since.isoformat() if standing.opted_out_since else None,
    }
    if standing.unsure_since is not None:
        found["unsure_since"] = standing.unsure_since.isoformat()
    if terms.consent is not ConsentNeed.NONE:
        found["consent"] = {"needed": terms.consent, "granted": standing.consent}
    if terms.min_trust is not None:
        found["trust"] = {"needed": terms.min_trust, "score": standing.trust}
    if zones:
        found["quiet_hours"] = {"hours": str(rules.hours_for(_phone_of(message))), "zones": list(zones)}
    if terms.purpose is Purpose.PROMOTIONAL and terms.at_cap is not IfBlocked.SEND:
        found["frequency"] = {"caps": [str(cap) for cap in rules.caps], "had": len(standing.admitted)}
    return found
