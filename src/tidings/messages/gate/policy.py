"""The gate: whether a message goes out now. One place decides for every feature, and its reasons are stored.

The decision is a pure function of the letter, what is known about its recipient, the rules and the moment.
Its order: what makes a message pointless, what forbids it, and then what only makes it wait.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tidings.errors import ConfigurationError
from tidings.messages.gate.quiet_hours import QuietHours, zones_of
from tidings.messages.gate.terms import Clash, ConsentNeed, Purpose
from tidings.messages.kind import Letter
from tidings.messages.statuses import Reason


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `most` promotional messages to one contact within any `window`."""

    most: int
    window: timedelta

    def __str__(self) -> str:
        days, seconds = self.window.days, self.window.seconds
        return f"{self.most}/{days}d" if not seconds else f"{self.most}/{self.window // timedelta(hours=1)}h"


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of this installation. `timezone` (IANA) is where numbers are taken to be that name no zone."""

    quiet_hours: QuietHours | None = None
    caps: tuple[Cap, ...] = ()
    timezone: str = "UTC"

    @property
    def longest_window(self) -> timedelta:
        return max((cap.window for cap in self.caps), default=timedelta(0))


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known about a letter's recipient when it is decided about.

    `consent` is the latest word about the letter's channel, `admitted` are the moments at which promotional
    messages to this contact were let out within the longest cap, the oldest first; all features count.
    """

    opted_out_since: datetime | None = None
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

_CAP = re.compile(r"(\d+)\s*/\s*(\d+)\s*([hd])")


def parse_caps(text: str) -> tuple[Cap, ...]:
    """`2/1d, 5/7d` as caps: at most 2 in any day and 5 in any 7 days; hours are `h`, and `off` means none.

    Raises ConfigurationError with a sentence for anything else.
    """
    if text.strip().lower() in ("", "off"):
        return ()
    caps = []
    for part in text.split(","):
        found = _CAP.fullmatch(part.strip().lower())
        if not found or not int(found[1]) or not int(found[2]):
            raise ConfigurationError(
                f"TIDINGS_FREQUENCY_CAPS is {text!r}; write messages/time, like 2/1d, 5/7d (h for hours), or off."
            )
        unit = timedelta(hours=1) if found[3] == "h" else timedelta(days=1)
        caps.append(Cap(int(found[1]), int(found[2]) * unit))
    return tuple(caps)


def decide(letter: Letter, standing: Standing, rules: Rules, now: datetime) -> Decision:
    """The decision about one letter at the moment `now` (UTC), with what it was made from."""
    terms = letter.terms
    zones = _zones(letter, rules)
    inputs = _inputs(letter, standing, rules, zones)
    if letter.obsolete is not None:
        return Skip(letter.obsolete, inputs)
    if letter.not_after is not None and now > letter.not_after:
        return Skip(Reason.EXPIRED, inputs)
    if letter.address is None:
        what = "mail address" if letter.channel == "email" else "phone number"
        return Refuse(f"no {what}: the contractor has none and the message names none", inputs)
    if standing.opted_out_since is not None and not terms.despite_opt_out:
        return Skip(Reason.OPTED_OUT, inputs)
    if terms.consent is not ConsentNeed.NONE and standing.consent is False:
        return Skip(Reason.CONSENT_REVOKED, inputs)
    if terms.consent is ConsentNeed.GRANTED and standing.consent is None:
        return Skip(Reason.NO_CONSENT, inputs)
    if terms.min_trust is not None and standing.trust is not None and standing.trust < terms.min_trust:
        return Skip(Reason.LOW_TRUST, inputs)
    return _timing(letter, standing, rules, zones, now, inputs)


def _timing(
    letter: Letter, standing: Standing, rules: Rules, zones: tuple[str, ...], now: datetime, inputs: Mapping[str, Any]
) -> Decision:
    """Now, later, or never: frequency caps first, then quiet hours, since the end of a cap may fall into them."""
    terms = letter.terms
    until, reason = now, None
    if terms.purpose is Purpose.PROMOTIONAL and terms.at_cap is not Clash.SEND:
        until = _free_at(standing, rules, now)
        reason = Reason.FREQUENCY_CAP if until > now else None
        if reason and terms.at_cap is Clash.DROP:
            return Skip(reason, inputs)
    if rules.quiet_hours is not None and terms.in_quiet_hours is not Clash.SEND:
        allowed = rules.quiet_hours.next_allowed(until, zones)
        if allowed is None:
            return Skip(Reason.NEVER_ALLOWED, inputs)
        if allowed > until:
            until, reason = allowed, reason or Reason.QUIET_HOURS
            if terms.in_quiet_hours is Clash.DROP:
                return Skip(reason, inputs)
    if reason is None:
        return Send(inputs)
    if letter.not_after is not None and until > letter.not_after:
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


def _zones(letter: Letter, rules: Rules) -> tuple[str, ...]:
    if rules.quiet_hours is None or letter.terms.in_quiet_hours is Clash.SEND:
        return ()
    phone = None if letter.channel == "email" else letter.address
    return zones_of(phone, letter.timezone, letter.tenant_timezone or rules.timezone)


def _inputs(letter: Letter, standing: Standing, rules: Rules, zones: tuple[str, ...]) -> dict[str, Any]:
    """What the decision is made from, as the ledger keeps it; what was not looked at is left out."""
    terms = letter.terms
    found: dict[str, Any] = {
        "scheduled_time": letter.scheduled_time.isoformat(),
        "not_after": letter.not_after.isoformat() if letter.not_after else None,
        "has_address": letter.address is not None,
        "purpose": terms.purpose,
        "opted_out_since": standing.opted_out_since.isoformat() if standing.opted_out_since else None,
    }
    if terms.consent is not ConsentNeed.NONE:
        found["consent"] = {"needed": terms.consent, "granted": standing.consent}
    if terms.min_trust is not None:
        found["trust"] = {"needed": terms.min_trust, "score": standing.trust}
    if zones:
        found["quiet_hours"] = {"hours": str(rules.quiet_hours), "zones": list(zones)}
    if terms.purpose is Purpose.PROMOTIONAL and terms.at_cap is not Clash.SEND:
        found["frequency"] = {"caps": [str(cap) for cap in rules.caps], "had": len(standing.admitted)}
    return found
