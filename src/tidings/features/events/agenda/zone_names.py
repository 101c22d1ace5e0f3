"""Timezones as files name them: IANA's names, Rails' ("Eastern Time (US & Canada)"), Windows', or a city alone."""

from __future__ import annotations

import re
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from babel.core import get_global
from pydantic import TypeAdapter, ValidationError

from tidings.features.events.agenda.rails_zones import RAILS_ZONES
from tidings.features.events.agenda.values import shown
from tidings.fields import Timezone

_iana = TypeAdapter[str](Timezone)
_OFFSET = re.compile(r"(?:UTC|GMT|Z)?\s*[+-−]\s*\d{1,2}(?::?\d{2})?", re.IGNORECASE)
_SHOWN_OFFSET = re.compile(r"^\((?:GMT|UTC)[^)]*\)\s*(?=\S)")  # as Rails and Windows show it before the name
_UNIVERSAL = frozenset({"utc", "gmt", "z", "universal", "coordinated universal time", "etc/utc"})


def read_zone(name: Any) -> str:
    """The IANA name of the zone that `name` means, whatever its blanks and letters' case.

    Raises ValueError with what to write instead: a mere offset ("UTC+2") is no zone, since it knows no summer time.
    """
    text = _SHOWN_OFFSET.sub("", " ".join(name.split())) if isinstance(name, str) else ""
    if text and is_iana(text):
        return text
    if text.casefold() in _UNIVERSAL:
        return "UTC"
    if text and (zone := _known().get(_plain(text))) is not None:
        return zone
    if _OFFSET.fullmatch(text):
        raise ValueError(f"{text!r} is an offset, which knows no summer time; write a timezone like Europe/Berlin")
    raise ValueError(f"{shown(name)} is not an IANA timezone; write one like Europe/Berlin")


def is_iana(name: str) -> bool:
    """Whether it is the name of a zone just as it stands."""
    try:
        _iana.validate_python(name)
    except ValidationError:
        return False
    return True


@cache
def _known() -> dict[str, str]:
    """Zones by their plain names. What two systems call alike means the same; a city of two zones means neither."""
    cities: dict[str, list[str]] = {}
    zones = sorted(zone for zone in available_timezones() if is_iana(zone))
    for zone in zones:
        if "/" in zone and not zone.startswith("Etc/"):
            cities.setdefault(_plain(zone.rpartition("/")[2]), []).append(zone)
    return {
        **{city: found[0] for city, found in cities.items() if len(found) == 1},
        **{_plain(name): zone for name, zone in get_global("windows_zone_mapping").items()},
        **{_plain(name): zone for name, zone in RAILS_ZONES.items()},
        **{_plain(zone): zone for zone in zones},
    }


def _plain(name: str) -> str:
    return name.replace("_", " ").casefold()


def zone_of_city(city: str) -> str | None:
    """The zone that is named after a city, if there is just one."""
    zone = _known().get(_plain(" ".join(city.split())))
    return zone if zone is not None and "/" in zone else None
