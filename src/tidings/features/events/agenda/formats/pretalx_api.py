"""What pretalx's API answers: talks with their slots, or slots with their submissions (https://docs.pretalx.org/api/).

Lists come in pages under `results`. A page that is not all of them is refused: in the place of the whole agenda it
would take the others away.
"""

from __future__ import annotations

from typing import Any

from tidings.errors import InvalidInput
from tidings.features.events.agenda.raw import Findings, RawAgenda, RawSession
from tidings.features.events.agenda.values import as_object

_EXPAND = "ask for it with ?expand=submission,submission.speakers,submission.submission_type,room"


def is_answer(content: Any) -> bool:
    """Whether it is a page, a list of pages, a schedule with its slots, or a list of talks or slots."""
    entries = _entries(content)
    return bool(entries) and any(_is_talk(entry) or _is_slot(entry) for entry in entries)


def read(content: Any, findings: Findings, source: str) -> RawAgenda:
    """What stands in it; the answers name no event. Raises InvalidInput for a page of several."""
    _check_complete(content, source)
    agenda = RawAgenda("", _conference(content))
    path = "slots" if isinstance(content, dict) and "slots" in content else "results"
    for index, entry in enumerate(_entries(content)):
        at = f"{path}.{index}"
        try:
            fields = as_object(entry, at)
            agenda.sessions += _of_talk(fields, at) if _is_talk(fields) else [RawSession(at, _slot(fields, at))]
        except InvalidInput as error:
            findings.leave_out(error, entry)
    if any(isinstance(_slot_of(raw).get("room"), int) for raw in agenda.sessions):
        findings.say(f"rooms are numbers in this answer and were left out; {_EXPAND}")
    return agenda


def _slot_of(raw: RawSession) -> dict[str, Any]:
    slot: dict[str, Any] = raw.fields.pop("slot", {})
    return slot


def _entries(content: Any) -> list[Any]:
    if isinstance(content, dict):
        found: list[Any] = next(
            (content[key] for key in ("results", "slots", "talks") if isinstance(content.get(key), list)), []
        )
        return list(found)
    pages = content if isinstance(content, list) else []
    if pages and all(isinstance(page, dict) and isinstance(page.get("results"), list) for page in pages):
        return [entry for page in pages for entry in page["results"]]
    return pages


def _is_talk(entry: Any) -> bool:
    return isinstance(entry, dict) and (
        isinstance(entry.get("slots"), list) or isinstance(entry.get("slot"), dict) or "submission_type" in entry
    )


def _is_slot(entry: Any) -> bool:
    return isinstance(entry, dict) and "submission" in entry and "start" in entry


def _check_complete(content: Any, source: str) -> None:
    pages = content if isinstance(content, list) else [content]
    counts = [page["count"] for page in pages if isinstance(page, dict) and isinstance(page.get("count"), int)]
    here = len(_entries(content))
    following = isinstance(content, dict) and content.get("next")
    if following or (counts and here < max(counts)):
        whole = f" of {max(counts)}" if counts else ""
        raise InvalidInput(
            source,
            f"is one page of several, with {here}{whole} entries; ask for all of them at once with ?page_size=",
        )


def _conference(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        return {}
    event = content.get("event")
    if isinstance(event, dict):
        return {"title": event.get("name"), "acronym": event.get("slug"), "time_zone_name": event.get("timezone")}
    return {"acronym": event, "time_zone_name": content.get("timezone")}


def _of_talk(talk: dict[str, Any], path: str) -> list[RawSession]:
    """A session for each slot, or one without a time for a talk that has none yet."""
    slots = talk.get("slots") if isinstance(talk.get("slots"), list) else [talk.get("slot")]
    placed = [slot for slot in slots or [] if isinstance(slot, dict)] or [{}]
    return [RawSession(path, {**_session(talk, slot), "slot": slot}) for slot in placed]


def _slot(slot: dict[str, Any], path: str) -> dict[str, Any]:
    submission = slot.get("submission")
    if submission is None:  # a break, or whatever else is no talk
        title = slot.get("description")
        kind = slot.get("slot_type")
        return {**_session({"title": title, "submission_type": kind, "code": slot.get("id")}, slot), "slot": slot}
    if not isinstance(submission, dict):
        raise InvalidInput(path, f"names its talk only by the code {str(submission)[:40]!r}; {_EXPAND}")
    return {**_session(submission, slot), "slot": slot}


def _session(talk: dict[str, Any], slot: dict[str, Any]) -> dict[str, Any]:
    room = slot.get("room", talk.get("room"))
    return {
        "title": talk.get("title"),
        "guid": talk.get("code") or talk.get("id"),
        "date": slot.get("start"),
        "end": slot.get("end"),
        "duration": None if slot.get("end") else slot.get("duration") or talk.get("duration"),
        "room": None if isinstance(room, int) else room,
        "type": talk.get("submission_type") if not isinstance(talk.get("submission_type"), int) else None,
        "persons": talk.get("speakers"),
        "state": talk.get("state"),
    }
