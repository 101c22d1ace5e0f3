"""The gate: whether a message goes out now. One place decides for every feature, and its reasons are stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tidings.messages.outbox import Letter
from tidings.messages.statuses import Reason


@dataclass(frozen=True, slots=True)
class Send:
    """It goes out now."""


@dataclass(frozen=True, slots=True)
class Defer:
    """It goes out later, if the gate then agrees."""

    until: datetime
    reason: Reason


@dataclass(frozen=True, slots=True)
class Skip:
    """It does not go out."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Refuse:
    """It cannot go out, and trying again would not help."""

    error: str


Decision = Send | Defer | Skip | Refuse


def decide(letter: Letter, now: datetime) -> Decision:
    """The decision about one letter at the moment `now` (UTC)."""
    if letter.obsolete is not None:
        return Skip(letter.obsolete)
    if letter.not_after is not None and now > letter.not_after:
        return Skip(Reason.EXPIRED)
    if letter.address is None:
        what = "mail address" if letter.channel == "email" else "phone number"
        return Refuse(f"no {what}: the contractor has none and the message names none")
    return Send()
