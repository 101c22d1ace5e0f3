"""What is kept of an order's parcels: whether one was called back, and which event told its tracking first.

It is JSON by the fulfillment's id: `{"4901234567890": {"status": "success", "as_of": …, "tracking": {"1Z…": 17}}}`,
where 17 is the row of the event. So each number is news once, in whatever order events are worked on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tidings.features.shops.rules import reading
from tidings.features.shops.rules.purchases import CALLED_BACK, Fulfillment


def note_parcel(
    known: Mapping[str, Any] | None, parcel: Fulfillment, as_of: datetime, event_id: int
) -> dict[str, Any]:
    """What is kept, with what an event told; a parcel that was called back stays so."""
    kept = dict(known or {})
    if parcel.id is None:
        return kept
    before = kept.get(parcel.id, {})
    earlier = reading.moment(before.get("as_of"))
    newer = earlier is None or as_of >= earlier
    is_final = CALLED_BACK in (before.get("status"), parcel.status)
    kept[parcel.id] = {
        "status": CALLED_BACK if is_final else parcel.status if newer else before.get("status"),
        "as_of": (as_of if newer or earlier is None else earlier).isoformat(),
        "tracking": {**dict.fromkeys(_marks(parcel), event_id), **before.get("tracking", {})},
    }
    return kept


def is_called_back(kept: Mapping[str, Any] | None, parcel: Fulfillment | None) -> bool:
    """Whether a parcel has been cancelled, whatever this event says of it."""
    return parcel is not None and _known(kept, parcel).get("status") == CALLED_BACK


def new_tracking(kept: Mapping[str, Any] | None, parcel: Fulfillment | None, event_id: int) -> Sequence[str]:
    """The tracking numbers (or addresses, where there are no numbers) that this event was the first to tell."""
    if parcel is None:
        return ()
    told = _known(kept, parcel).get("tracking", {})
    return [mark for mark in _marks(parcel) if told.get(mark) == event_id]


def _known(kept: Mapping[str, Any] | None, parcel: Fulfillment) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (kept or {}).get(parcel.id or "", {})
    return found


def _marks(parcel: Fulfillment) -> Sequence[str]:
    return parcel.tracking_numbers or parcel.tracking_urls
