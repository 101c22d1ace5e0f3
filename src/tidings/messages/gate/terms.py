"""What a message asks of the gate: its purpose, and what it does when it may not go out at once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Purpose(StrEnum):
    """Transactional: what the person asked for or has to know. Promotional: what we would like them to read."""

    TRANSACTIONAL = "transactional"
    PROMOTIONAL = "promotional"


class IfBlocked(StrEnum):
    """What a message does that meets quiet hours or a frequency cap: go out all the same, wait, or never go."""

    SEND = "send"
    DEFER = "defer"
    DROP = "drop"


class ConsentNeed(StrEnum):
    """Which consent a message needs: none, one that was not taken back, or one that was given."""

    NONE = "none"
    NOT_REVOKED = "not_revoked"
    GRANTED = "granted"


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms on which one message goes out; whoever opted out gets none, whatever its terms.

    Promotional messages count in the frequency caps. `min_trust` is the trust (0 to 100) that the contact
    must still have. Only the answers to STOP, START and HELP go out `despite_opt_out` (CTIA Messaging
    Principles and Best Practices, section 5.1.3: one confirmation of an opt-out, and HELP is always answered).
    """

    purpose: Purpose = Purpose.TRANSACTIONAL
    consent: ConsentNeed = ConsentNeed.NONE
    in_quiet_hours: IfBlocked = IfBlocked.SEND
    at_cap: IfBlocked = IfBlocked.SEND
    min_trust: float | None = None
    despite_opt_out: bool = False


TRANSACTIONAL = Terms()


def promotional(if_blocked: IfBlocked, consent: ConsentNeed, *, min_trust: float | None = None) -> Terms:
    """Promotional terms that meet quiet hours and caps alike: `if_blocked` is DEFER or DROP."""
    return Terms(Purpose.PROMOTIONAL, consent, in_quiet_hours=if_blocked, at_cap=if_blocked, min_trust=min_trust)
