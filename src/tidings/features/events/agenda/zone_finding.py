"""The timezone of an agenda that names none: which ones its offsets fit, and which of them is meant."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from babel import Locale
from babel.core import get_global

from tidings.features.events.agenda.zone_names import zone_of_city

_COMMON = (
    *("Europe/Berlin", "Europe/London", "Europe/Kyiv", "Europe/Istanbul", "Europe/Moscow"),
    *("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Sao_Paulo"),
    *("America/Bogota", "America/Mexico_City", "America/Halifax", "Asia/Dubai", "Asia/Karachi", "Asia/Kolkata"),
    *("Asia/Dhaka", "Asia/Jakarta", "Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney", "Pacific/Auckland"),
)
"""Where most events are; after them CLDR's order counts, which is the alphabet's: Easter Island before New York."""

_NAMED = 6
_AROUND = timedelta(days=2)
"""An event's first message by the clock leaves the evening before, its last one hours after."""


@dataclass(frozen=True, slots=True)
class Hints:
    """What a file says of where it takes place: a country by name or ISO 3166 code, and the names of places."""

    country: str | None = None
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ZoneFound:
    """The zone of an agenda (IANA name), and in a sentence how it is known.

    `candidates` are all that it may be, the likeliest first, where more than one fits; `zone` is None where nothing
    tells and a person has to. `is_guess` says that a person had better look at it.
    """

    zone: str | None
    why: str
    candidates: tuple[str, ...] = ()
    is_guess: bool = False


def find_zone(
    moments: Collection[datetime], hints: Hints, default: str | None, unnamed: str = "the file names no timezone"
) -> ZoneFound:
    """The zone that the offsets of all `moments` (aware) fit, on both sides of a change of clocks.

    `default` is the installation's, if somebody set it. Of several zones that is taken, or the one of the hints, or
    else the likeliest, if until two days around the event all of them show the same time: then nothing depends on it
    but the clocks of other seasons. Times that are all UTC tell an instant and no place; then `unnamed` begins the
    sentence.
    """
    if not any(moment.utcoffset() for moment in moments):
        return _without_offsets(moments, hints, default, unnamed)
    zones = fitting(moments)
    if not zones:  # some exporters write a few of their times in UTC
        moments = [moment for moment in moments if moment.utcoffset()]
        zones = fitting(moments)
    offsets = sorted({f"{moment:%z}"[:3] + ":" + f"{moment:%z}"[3:5] for moment in moments})
    times = f"the file's times are at {' and '.join(offsets)}"
    told = _told(hints)
    if default is not None and _fits(default, moments) and len(zones) > 1:
        why = f"{times}, as in TIDINGS_DEFAULT_TIMEZONE; they also are in {named(zones, default)}"
        return ZoneFound(default, why, _first(default, zones), is_guess=True)
    if len(zones) == 1:
        return ZoneFound(zones[0], f"{times}, as they are nowhere else")
    if not zones:
        return ZoneFound(default, f"{times}, as they are in no timezone", is_guess=default is not None)
    mine = [zone for zone in told if _fits(zone, moments)]
    if len(mine) == 1:
        return ZoneFound(mine[0], f"{times}, and the place that it names is there", _first(mine[0], zones))
    likeliest = mine[0] if mine else zones[0]
    why = f"{times}, as they also are in {named(zones, likeliest)}"
    agree = _agree(zones, min(moments), max(moments))
    return ZoneFound(likeliest if agree else None, why, _first(likeliest, zones), is_guess=True)


def _without_offsets(moments: Collection[datetime], hints: Hints, default: str | None, unnamed: str) -> ZoneFound:
    times = "the file's times are all UTC, which says nothing of the place" if moments else "its times have no offset"
    told = _told(hints)
    if len(told) == 1:
        return ZoneFound(told[0], f"{unnamed}, but a place that is there; {times}", is_guess=True)
    if default is not None:
        return ZoneFound(default, f"{unnamed} and {times}; TIDINGS_DEFAULT_TIMEZONE is set", is_guess=True)
    return ZoneFound(None, f"{unnamed} and {times}", tuple(told))


def named(zones: Sequence[str], but: str | None = None) -> str:
    """The first of them in words: `Europe/Berlin, Europe/Paris and 28 more`."""
    others = [zone for zone in zones if zone != but]
    shown, more = others[:_NAMED], len(others) - _NAMED
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))


def fitting(moments: Collection[datetime]) -> list[str]:
    """The zones where people live whose clocks have every one of the moments' offsets then; the likeliest first."""
    samples = {(moment.date(), moment.utcoffset()): moment for moment in moments}.values()
    return sorted((zone for zone in _inhabited() if _fits(zone, samples)), key=_likelihood)


def _fits(zone: str, moments: Collection[datetime]) -> bool:
    place = ZoneInfo(zone)
    return all(moment.astimezone(place).utcoffset() == moment.utcoffset() for moment in moments)


def _first(zone: str, zones: Sequence[str]) -> tuple[str, ...]:
    return (zone, *(other for other in zones if other != zone))


def _agree(zones: Sequence[str], first: datetime, last: datetime) -> bool:
    """Whether all of them show the same time until two days around."""
    hours = int((last - first + 2 * _AROUND) / timedelta(hours=6)) + 1
    moments = [first.astimezone(UTC) - _AROUND + step * timedelta(hours=6) for step in range(min(hours, 400))]
    places = [ZoneInfo(zone) for zone in zones]
    return all(len({moment.astimezone(place).utcoffset() for place in places}) == 1 for moment in moments)


def _told(hints: Hints) -> list[str]:
    """The zones of the place: the city's, or else the country's."""
    cities = [zone for place in hints.places if (zone := zone_of_city(place)) is not None]
    if cities:
        return list(dict.fromkeys(cities))
    code = _country(hints.country)
    return [zone for zone, countries in _table("zone.tab") if code in countries] if code else []


def _country(name: str | None) -> str | None:
    text = (name or "").strip().casefold()
    if len(text) == 2:
        return text.upper()
    return _countries().get(text)


@cache
def _countries() -> dict[str, str]:
    """ISO 3166 codes by the countries' names in the languages of most files."""
    languages = [Locale(language).territories for language in ("fr", "es", "de", "en")]
    return {name.casefold(): code for names in languages for code, name in names.items() if code.isalpha()}


@cache
def _inhabited() -> tuple[str, ...]:
    return tuple(zone for zone, _ in _table("zone1970.tab"))


@cache
def _table(name: str) -> tuple[tuple[str, frozenset[str]], ...]:
    """Zones and the countries that they lie in, of a table of the tz database."""
    lines = files("tzdata").joinpath("zoneinfo", name).read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return tuple((row[2], frozenset(row[0].split(","))) for row in rows)


@cache
def _ranks() -> dict[str, int]:
    zones = (*_COMMON, *get_global("windows_zone_mapping").values())
    return {zone: rank for rank, zone in reversed(list(enumerate(zones)))}


def _likelihood(zone: str) -> tuple[int, str]:
    return _ranks().get(zone, len(_ranks()) + 2), zone
