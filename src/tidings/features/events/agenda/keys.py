"""Keys that stay with their sessions, also where a file knows several sessions by one guid.

People choose sessions by their keys, and messages and ratings carry them. A guid alone does not tell two sessions
apart, and their order in the file changes.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from tidings.features.events.agenda.sessions import ANONYMOUS, KEY_LENGTH, numbered
from tidings.features.events.schemas import FileSession

_PLACED = re.compile(r".*@\d{4}-\d\d-\d\dT\d\d:\d\dZ(?:-\d+)?", re.DOTALL)
_NUMBERED = re.compile(r"(.*)-([1-9]\d{0,3})", re.DOTALL)

_SAME: tuple[Callable[[Any], object], ...] = (
    lambda slot: (slot.title, slot.start_time, slot.room),
    lambda slot: (slot.title, slot.start_time),
    lambda slot: slot.title,
    lambda slot: (slot.start_time, slot.room),
    lambda slot: None,
)
"""What two versions of one session have in common, the surest first; the last: they are what is left of a guid."""


def shares_keys(sessions: Sequence[FileSession], stored: Iterable[Any]) -> bool:
    """Whether any guid of the file means several sessions, there or as stored: then it matters who has which key."""
    origins = {session.origin for session in sessions}
    return len(origins) < len(sessions) or any(
        slot.key not in origins and _origins_of(slot, origins) for slot in stored
    )


def keep_keys(sessions: Sequence[FileSession], stored: Sequence[Any], used: Collection[str]) -> list[FileSession]:
    """The sessions of a file with the keys of those stored sessions that they are, whatever the order of either.

    `stored` are AgendaSessions; `used` are all keys that people or messages of the event have ever had, which mean
    something else to them: none of these becomes a new session's of a shared guid.
    """
    origins = {session.origin for session in sessions}
    theirs: dict[str, list[Any]] = defaultdict(list)
    for slot in stored:
        for origin in _origins_of(slot, origins):
            theirs[origin].append(slot)
    groups: dict[str, list[int]] = defaultdict(list)
    for index, session in enumerate(sessions):
        groups[session.origin].append(index)
    keys: dict[int, str] = {}
    taken: set[str] = set()
    for is_same in _SAME:
        for origin, indices in sorted(groups.items()):
            if origin != ANONYMOUS or is_same is not _SAME[-1]:
                _pair(sessions, indices, theirs[origin], is_same, keys, taken)
    for is_same in _SAME[:2]:  # an exporter may have begun to use other guids
        _pair(sessions, range(len(sessions)), stored, is_same, keys, taken)
    taken |= {slot.key for slot in stored}
    numbers: Counter[str] = Counter(origins | {session.key or "" for session in sessions})
    for origin, indices in groups.items():
        is_shared = len(indices) > 1 or len(theirs[origin]) > 0
        for index in _in_order(sessions, [index for index in indices if index not in keys]):
            base = (sessions[index].key if origin == ANONYMOUS else None) or origin
            key = base
            while key in taken or (is_shared and key in used) or (key != base and key in origins):
                numbers[base] += 1
                key = numbered(base, numbers[base])
            keys[index] = key
            taken.add(key)
    return [session.model_copy(update={"key": keys[index]}) for index, session in enumerate(sessions)]


def _origins_of(slot: Any, origins: Collection[str]) -> set[str]:
    """The guids of the file that a stored session may have had; those of long ago were not written down."""
    if slot.origin is not None:
        return {slot.origin} if slot.origin in origins else set()
    if _PLACED.fullmatch(slot.key):
        return {ANONYMOUS}
    return {one for one in (slot.key, _unnumbered(slot.key, origins)) if one is not None and one in origins}


def _unnumbered(key: str, origins: Collection[str]) -> str | None:
    match = _NUMBERED.fullmatch(key)
    if match is None or match[2] == "1":
        return None
    if match[1] in origins:
        return match[1]
    if len(key) < KEY_LENGTH - 5:  # a longer one may have been cut to make room for its number
        return None
    return next((origin for origin in origins if numbered(origin, int(match[2])) == key), None)


def _pair(
    sessions: Sequence[FileSession],
    indices: Sequence[int],
    slots: Sequence[Any],
    is_same: Callable[[Any], object],
    keys: dict[int, str],
    taken: set[str],
) -> None:
    """Gives sessions the keys of the stored ones that are the same by `is_same`; `taken` are those given so far."""
    waiting: dict[object, list[Any]] = defaultdict(list)
    for slot in sorted(slots, key=_order):
        if slot.key not in taken:
            waiting[is_same(slot)].append(slot)
    for index in _in_order(sessions, [index for index in indices if index not in keys]):
        if found := waiting[is_same(sessions[index])]:
            keys[index] = found.pop(0).key
            taken.add(keys[index])


def _in_order(sessions: Sequence[FileSession], indices: Sequence[int]) -> list[int]:
    return sorted(indices, key=lambda index: _order(sessions[index]))


def _order(slot: Any) -> tuple[Any, ...]:
    return slot.start_time, slot.title, slot.room or ""
