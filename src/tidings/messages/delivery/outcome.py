"""What became of one taking of a message, and what is written down about it: its row, its line, what the AI cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tidings.ai.base import Draft
from tidings.errors import SendError
from tidings.messages.dead_letters import storable_json
from tidings.messages.gate.opt_outs import canonical
from tidings.messages.kind import Message
from tidings.messages.ledger import DeliveryStatus, Outcome
from tidings.messages.statuses import Reason, Status
from tidings.messages.usage import usage_row
from tidings.providers.base import Receipt


@dataclass(frozen=True, slots=True)
class Result:
    """How one taking of a message ended: its row's new status, and what the ledger says of it.

    `held_until` is when the row may be taken again. A taking that ended in a wait which somebody asked for
    does not count as an attempt. `columns` are the kind's own, `inputs` what the gate went by, `refusal` is what the
    provider said that did not take it. `told`: the ledger has a line that says so already, and gets no further one.
    """

    outcome: Outcome
    status: Status
    reason: Reason | None = None
    error: str | None = None
    held_until: datetime | None = None
    counts: bool = True
    columns: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    draft: Draft | None = None
    refusal: SendError | None = None
    told: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """A hand-over to a provider: when it began, how long it took (ms), and the receipt if there is one."""

    left: datetime
    duration_ms: float
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """New values of a row, its line in the ledger, and the row of what the AI cost, if it was asked.

    `handed_over` says that the message was offered to its provider: forgotten, it would leave again. `told`: the line
    is not written.
    """

    message: Message
    status: Status
    reason: Reason | None
    refusal: SendError | None
    row: Mapping[str, Any]
    line: Mapping[str, Any]
    usage: Mapping[str, Any] | None
    handed_over: bool
    told: bool = False

    @property
    def attempt(self) -> int:
        """The taking that it is the outcome of."""
        return int(self.line["attempt"])

    def bare(self) -> Record:
        """Only what keeps the message from leaving again, for a database that refuses the rest."""
        row = {name: value for name, value in self.row.items() if name in _ESSENTIAL or isinstance(value, datetime)}
        if row.get("error_message"):
            row["error_message"] = storable_json(row["error_message"])
        known = dict.fromkeys(("provider_message_id", "request_id", "lateness_ms", "duration_ms"))
        line = {**self.line, **known, "error": storable_json(self.line["error"] or "") or None, "inputs": {}}
        return replace(self, row=row, line=line, usage=None)


_ESSENTIAL = frozenset({"id", "status", "status_reason", "attempts", "error_message"})

LINE = (
    *(
        "at",
        "kind",
        "message_id",
        "contact_id",
        "tenant",
        "address",
        "outcome",
        "reason",
        "attempt",
        "channel",
        "provider",
    ),
    *(
        "account",
        "provider_message_id",
        "error",
        "lateness_ms",
        "duration_ms",
        "request_id",
        "inputs",
        "delivery_status",
    ),
)
"""The columns of a line of the ledger that are known when an outcome is recorded."""


def record_of(
    kind: str,
    message: Message,
    result: Result,
    attempt: Attempt | None,
    *,
    provider: str | None,
    request_id: str,
    lateness_ms: float | None,
    now: datetime,
) -> Record:
    """What is written down at `now` about a message of this kind that was taken; `provider` has been offered it."""
    receipt = attempt.receipt if attempt else None
    line = {
        "at": now,
        "kind": kind,
        "message_id": message.id,
        "contact_id": message.contact_id,
        "tenant": message.tenant,
        "address": _elsewhere(message),
        "outcome": result.outcome,
        "reason": result.reason,
        "attempt": message.attempt,
        "channel": message.channel,
        "provider": provider if attempt else None,
        "account": message.account.key if message.account else None,
        "provider_message_id": receipt.provider_message_id if receipt else None,
        "error": result.error,
        "lateness_ms": lateness_ms,
        "duration_ms": attempt.duration_ms if attempt else None,
        "request_id": request_id,
        "inputs": {**result.inputs, **_written_by(result.draft)},
        "delivery_status": DeliveryStatus.SENT if result.outcome is Outcome.SENT else None,
    }
    return Record(
        message,
        result.status,
        result.reason,
        result.refusal,
        row_of(message.id, message.attempt, result, now),
        line,
        usage_row(now, kind, message.id, result.draft, message.tenant),
        handed_over=attempt is not None and result.reason is not Reason.PROVIDER_AWAY,
        told=result.told,
    )


def _elsewhere(message: Message) -> str | None:
    """The address, where it cannot be found by the contact."""
    if message.address is None or (message.contact_id is not None and not message.elsewhere):
        return None
    return canonical(message.address)[:254]


def row_of(message_id: int, attempt: int, result: Result, now: datetime) -> dict[str, Any]:
    """The new values of the row."""
    return {
        "id": message_id,
        "status": result.status,
        **({"status_reason": result.reason} if result.status is Status.SKIPPED else {}),
        **({} if result.counts else {"attempts": attempt - 1}),
        "error_message": result.error,
        "held_until": result.held_until,
        "updated_at": now,
        **result.columns,
    }


def _written_by(draft: Draft | None) -> dict[str, Any]:
    if draft is None:
        return {}
    return {"written_by": {"author": draft.author, "model": draft.model, "fallback": draft.fallback}}
