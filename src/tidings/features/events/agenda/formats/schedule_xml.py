"""schedule.xml, frab's format, as FOSDEM, pretalx and the CCC publish it.

Expat reads it with entities refused (https://docs.python.org/3/library/xml.html#xml-security): none can be defined,
so none can grow or be fetched from elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from tidings.errors import InvalidInput
from tidings.features.events.agenda.raw import RawAgenda, RawDay, RawSession

_DEEPEST = 50
_WEB_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+)?html", re.IGNORECASE)
_LONGEST_TEXT = 1_000_000
_EXPORT = "export it from pretalx or frab as XML (frab compatible)"


@dataclass(slots=True)
class _Element:
    tag: str
    attributes: dict[str, str]
    children: list[_Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    length: int = 0

    def all(self, tag: str) -> Iterator[tuple[int, _Element]]:
        """The elements directly inside that are called so, with their numbers from 0."""
        return enumerate(child for child in self.children if child.tag == tag)

    def text(self, tag: str) -> str | None:
        """What the first element of that name says, or else the attribute; None for nothing but blanks."""
        inside = next((child for child in self.children if child.tag == tag), None)
        said = "".join(inside.texts) if inside is not None else self.attributes.get(tag, "")
        return said.strip() or None


class _NoSchedule(Exception):
    """Something that no schedule has."""


class _TreeBuilder:
    """Makes elements of what expat tells, and ends it early where it gets out of hand."""

    def __init__(self) -> None:
        self.root: _Element | None = None
        self._open: list[_Element] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        element = _Element(tag.rpartition("}")[2].rpartition(":")[2], attributes)
        if len(self._open) >= _DEEPEST:
            raise _NoSchedule("its elements are too deeply nested")
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def end(self, tag: str) -> None:
        self._open.pop()

    def text(self, data: str) -> None:
        element = self._open[-1]
        element.length += len(data)
        if element.length > _LONGEST_TEXT:
            raise _NoSchedule(f"the text of an element {element.tag} is longer than {_LONGEST_TEXT:,} characters")
        element.texts.append(data)

    def entity(self, name: str, *_: object) -> None:
        raise _NoSchedule(f"it defines an entity ({name[:40]}), which no schedule needs")


def is_xml(content: bytes) -> bool:
    """Whether it looks like XML or HTML, in UTF-8 or UTF-16."""
    start = content[:200].removeprefix(b"\xef\xbb\xbf")
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        start = start[2:].replace(b"\0", b"")
    return start.lstrip().startswith(b"<")


def read(content: bytes, source: str, encoding: str | None = None) -> RawAgenda:
    """What stands in it, with a schedule.json's names. `encoding` counts more than the one that it names.

    Raises InvalidInput when it is no schedule.
    """
    if _WEB_PAGE.match(content):
        raise InvalidInput(source, f"is not a schedule: it is a web page; {_EXPORT}")
    root = _parsed(content, source, encoding)
    if root.tag != "schedule":
        raise InvalidInput(source, f"is not a schedule: it is XML that begins with <{root.tag[:40]}>; {_EXPORT}")
    conference = next((child for _, child in root.all("conference")), None)
    if conference is None:
        raise InvalidInput("schedule.conference", f"is missing; {_EXPORT}")
    fields = {child.tag: "".join(child.texts).strip() or None for child in conference.children if child.tag != "days"}
    agenda = RawAgenda("schedule.conference", fields)
    for index, element in root.all("day"):
        day = RawDay(
            f"schedule.day.{index}",
            {
                "date": element.attributes.get("date"),
                "day_start": element.attributes.get("start"),
                "day_end": element.attributes.get("end"),
            },
        )
        agenda.days.append(day)
        agenda.sessions += _of_day(day, element)
    return agenda


def _parsed(content: bytes, source: str, encoding: str | None) -> _Element:
    builder = _TreeBuilder()
    parser = expat.ParserCreate(encoding)
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler, parser.EntityDeclHandler = builder.text, builder.entity
    parser.buffer_text = True
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        where = f"line {error.lineno}, column {error.offset + 1}"
        raise InvalidInput(source, f"is not XML at {where}: {expat.ErrorString(error.code)}; {_EXPORT}") from error
    except (_NoSchedule, ValueError, LookupError) as error:
        raise InvalidInput(source, f"is no schedule: {error}; {_EXPORT}") from error
    assert builder.root is not None
    return builder.root


def _of_day(day: RawDay, element: _Element) -> Iterator[RawSession]:
    """Its events: in rooms, as mostly, or in the day itself."""
    for index, room in element.all("room"):
        name = room.attributes.get("name") or ""
        for place, event in room.all("event"):
            yield RawSession(f"{day.path}.room.{name or index}.event.{place}", _fields(event), day, name)
    for place, event in element.all("event"):
        yield RawSession(f"{day.path}.event.{place}", _fields(event), day)


def _fields(event: _Element) -> dict[str, Any]:
    names = ("title", "date", "start", "duration", "end", "room", "type", "sponsor", "state", "status")
    persons = next((child for child in event.children if child.tag == "persons"), None)
    return {
        **{name: event.text(name) for name in names},
        "guid": event.attributes.get("guid"),
        "id": event.attributes.get("id"),
        "persons": _persons(persons) if persons is not None else None,
    }


def _persons(persons: _Element) -> list[str]:
    """The names: in the elements' text, or in elements of their own inside."""
    names = (
        "".join(person.texts).strip() or person.text("public_name") or person.text("name") or ""
        for _, person in persons.all("person")
    )
    return [name for name in names if name]
