"""An agenda as it stands in its file: what every format is read into, before anything is made of its values.

The fields of conferences, days and sessions have the names that they have in a schedule.json; their values are
whatever the file holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidings.errors import InvalidInput
from tidings.features.events.agenda.values import clean, cut


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A session that cannot be used, or a part of the file that is none: what it is called, where it stands, why."""

    title: str
    guid: str | None
    path: str
    reason: str


@dataclass(slots=True)
class Findings:
    """What was found wrong on the way. With `strict` the first thing is an error instead, and nothing is read."""

    strict: bool = False
    left_out: list[LeftOut] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def leave_out(self, error: InvalidInput, entry: Any = None) -> None:
        """Notes an entry that cannot be used. Raises InvalidInput when that is not to happen."""
        if self.strict:
            raise error
        fields = entry if isinstance(entry, Mapping) else {}
        title = _said(fields.get("title")) or _said(fields.get("name")) or "without a title"
        guid = next((said for key in ("guid", "code", "id") if (said := _said(fields.get(key)))), None)
        self.left_out.append(LeftOut(title, guid, error.field, error.message))

    def warn(self, error: InvalidInput) -> None:
        """Notes a value that was ignored. Raises InvalidInput when that is not to happen."""
        if self.strict:
            raise error
        self.say(str(error))

    def say(self, warning: str) -> None:
        """Notes something that a person should look at, once."""
        if warning not in self.warnings:
            self.warnings.append(warning)


def _said(value: Any) -> str | None:
    if isinstance(value, Mapping):
        value = value.get("en") or next(iter(value.values()), None)
    return cut(clean(str(value)), 80) or None if isinstance(value, (str, int, float)) else None


@dataclass(frozen=True, slots=True)
class RawDay:
    """A day of the agenda; its fields are `date`, `day_start` and `day_end`."""

    path: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RawSession:
    """An entry of the agenda; `room` is the one whose list it stands in, `day` the day, where a file has such."""

    path: str
    fields: dict[str, Any]
    day: RawDay | None = None
    room: str = ""


@dataclass(slots=True)
class RawAgenda:
    """A file's conference with its days and sessions, in their order. `path` is where its fields stand."""

    path: str
    conference: dict[str, Any]
    days: list[RawDay] = field(default_factory=list)
    sessions: list[RawSession] = field(default_factory=list)
