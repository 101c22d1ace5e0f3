"""The statuses of a message and the reasons a message did not go out."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Where a message stands.

    The specification names scheduled, sent, failed and cancelled. `skipped` is a decision not to send;
    `sending` lasts while a worker holds the row, and after its crash until the lease ends. `waiting` is written but
    has no job yet: its feature lets it go. `unknown` was handed over and nobody knows whether its provider took it;
    it is not sent again by itself, and waits for a report or a person.
    """

    WAITING = "waiting"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


OPEN = (Status.SCHEDULED, Status.SENDING)
"""The statuses of messages that are still to go out."""

LEFT = (Status.SENT, Status.UNKNOWN)
"""The statuses of messages that have left, or may have: they count in the caps."""


class Reason(StrEnum):
    """Why a message has its status; `sentence` says it to a person."""

    PLANNED = "planned"
    PAST = "past"
    EXPIRED = "expired"
    BY_REQUEST = "by_request"
    EVENT_CANCELLED = "event_cancelled"
    EVENT_CLEARED = "event_cleared"
    CONTRACTOR_CLEARED = "contractor_cleared"
    REGISTRATION_CANCELLED = "registration_cancelled"
    NO_LONGER_PLANNED = "no_longer_planned"
    ACTION_ITEM_COMPLETED = "action_item_completed"
    OVERTAKEN = "overtaken"
    RECURRING = "recurring"
    TRIGGERED = "triggered"
    REJECTED = "rejected"
    NOT_APPROVED = "not_approved"
    GOAL_REACHED = "goal_reached"
    RULES_NOT_MET = "rules_not_met"
    AUTOMATION_STOPPED = "automation_stopped"
    CAMPAIGN_CANCELLED = "campaign_cancelled"
    SHOP_UNINSTALLED = "shop_uninstalled"
    REDACTED = "redacted"
    ANSWERS_USER = "answers_user"
    TAKEN_OVER = "taken_over"
    ANSWERED_COMMAND = "answered_command"
    MERGED = "merged"
    OPTED_OUT = "opted_out"
    UNSURE = "unsure"
    NO_CONSENT = "no_consent"
    CONSENT_REVOKED = "consent_revoked"
    LOW_TRUST = "low_trust"
    QUIET_HOURS = "quiet_hours"
    NEVER_ALLOWED = "never_allowed"
    FREQUENCY_CAP = "frequency_cap"
    PROVIDER_BUSY = "provider_busy"
    PROVIDER_AWAY = "provider_away"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES = {
    Reason.PLANNED: "the event's schedule calls for it",
    Reason.PAST: "its time had passed when it was planned",
    Reason.EXPIRED: "it was of no use any more when its turn came",
    Reason.BY_REQUEST: "somebody asked for it",
    Reason.EVENT_CANCELLED: "the event was cancelled",
    Reason.EVENT_CLEARED: "the event's messages were cleared",
    Reason.CONTRACTOR_CLEARED: "this person's messages were cleared",
    Reason.REGISTRATION_CANCELLED: "the registration was cancelled",
    Reason.NO_LONGER_PLANNED: "the agenda no longer calls for it",
    Reason.ACTION_ITEM_COMPLETED: "the action item that it is about was completed",
    Reason.OVERTAKEN: "what it is about has changed since it was written",
    Reason.RECURRING: "it is the next one of a series",
    Reason.TRIGGERED: "a trigger called for it",
    Reason.REJECTED: "the person asked to approve it said no",
    Reason.NOT_APPROVED: "nobody approved it in time",
    Reason.GOAL_REACHED: "what it was to bring about has happened already",
    Reason.RULES_NOT_MET: "the automation's rules no longer held when it happened again",
    Reason.AUTOMATION_STOPPED: "its automation was switched off or deleted",
    Reason.CAMPAIGN_CANCELLED: "its campaign was cancelled",
    Reason.SHOP_UNINSTALLED: "the shop uninstalled the app",
    Reason.REDACTED: "the person's data was erased",
    Reason.ANSWERS_USER: "it answers what somebody wrote",
    Reason.TAKEN_OVER: "a person had taken the conversation over",
    Reason.ANSWERED_COMMAND: "it answers a STOP, START or HELP",
    Reason.MERGED: "two entries of the person were made one, and the other one gets the same",
    Reason.OPTED_OUT: "the recipient has opted out",
    Reason.UNSURE: "the recipient wrote something that may mean STOP, and nobody has decided about it yet",
    Reason.NO_CONSENT: "the recipient has not consented to such messages",
    Reason.CONSENT_REVOKED: "the recipient took back the consent to such messages",
    Reason.LOW_TRUST: "the recipient's trust is too low for it",
    Reason.QUIET_HOURS: "it was within the recipient's quiet hours",
    Reason.NEVER_ALLOWED: "no moment is outside the quiet hours in every timezone that the number may be in",
    Reason.FREQUENCY_CAP: "the recipient has had as many such messages as the frequency caps allow",
    Reason.PROVIDER_BUSY: "its provider asked for fewer messages",
    Reason.PROVIDER_AWAY: "its provider was away",
}
