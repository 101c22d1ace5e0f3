"""Dates, clock times, weekdays and relative days in English texts, read as what they mean.

A date is (year or None, month, day). A clock time is (hour, minute, whether morning or afternoon is known): "3:00"
may be either, "15:00" and "3 PM" may not. A date such as 10/11/2025, which two countries read in two ways, has no
meaning but its own characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator
from datetime import date

Reading = tuple[str, Hashable]
"""A claim's kind, and its meaning in a form that compares."""

_MONTHS = (
    "jan(?:uary)?", "feb(?:ruary)?", "mar(?:ch)?", "apr(?:il)?", "may", "june?", "july?", "aug(?:ust)?",
    "sept?(?:ember)?", "oct(?:ober)?", "nov(?:ember)?", "dec(?:ember)?",
)  # fmt: skip
_DAYS = (
    "mon(?:day)?", "tue(?:s|sday)?", "wed(?:s|nesday)?", "thu(?:r|rs|rsday)?", "fri(?:day)?", "sat(?:urday)?",
    "sun(?:day)?",
)  # fmt: skip
_FULL_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTH = "|".join(_MONTHS)
_DAY = "|".join(_DAYS)
_TH = r"(?:st|nd|rd|th)?"

_ISO = re.compile(
    r"(?<!\d)([0-9]{4})([-/])([0-9]{2})\2([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::[0-9]{2}(?:[.,][0-9]+)?)?(?:Z|\s?[+-][0-9]{2}:?[0-9]{2})?)?(?![\d:])"
)
_WRITTEN = re.compile(
    rf"\b(?P<month>{_MONTH})\b\.?,?\s+(?:the\s+)?(?P<day>[0-9]{{1,2}}){_TH}(?![\d:%])(?!\s?[ap]\.?m\b)"
    rf"(?:\s?[-–—]\s?(?P<until>[0-9]{{1,2}}){_TH}(?![\d:%])(?!\s?[ap]\.?m\b))?(?:,?\s+(?P<year>[0-9]{{4}})\b)?"
    rf"|(?<![\d:.$€£])(?:(?P<since>[0-9]{{1,2}}){_TH}\s?[-–—]\s?)?(?P<day2>[0-9]{{1,2}}){_TH}\s+(?:of\s+)?"
    rf"(?P<month2>{_MONTH})\b\.?(?:,?\s+(?P<year2>[0-9]{{4}})\b)?",
    re.IGNORECASE,
)
_NUMERIC = re.compile(
    r"(?<![\d/.-])([0-9]{1,2})([/.-])([0-9]{1,2})\2([0-9]{4}|[0-9]{2})(?![\d/-])"
    r"|(?<![\d/])(?!24/7)([0-9]{1,2})/([0-9]{1,2})(?![\d/])"
)
_TWELVE = r"(?P<hour>[0-9]{1,2})(?:[:.](?P<minute>[0-9]{2}))?\s?(?P<half>[ap])(?:\.\s?m\b\.?|m\b)"
_TIME_12 = re.compile(rf"(?<![\d:.,$€£]){_TWELVE}", re.IGNORECASE)
_RANGE_12 = re.compile(  # the first time of "3-4 PM", which says only once which half of the day
    rf"(?<![\d:.,$€£])([0-9]{{1,2}})(?::([0-9]{{2}}))?(?=\s?(?:-|–|—|to|and|or|until)\s?{_TWELVE})", re.IGNORECASE
)
_TIME_24 = re.compile(r"(?<![\d:])([0-9]{1,2}):([0-9]{2})(?::[0-9]{2})?(?![\d:])(?:\s?h\b)?")
_OCLOCK = re.compile(r"\b([0-9]{1,2})\s?o['’]?\s?clock\b", re.IGNORECASE)
_PAST = re.compile(
    r"\b(?:(?P<part>half|(?:a )?quarter)|(?P<minutes>[0-9]{1,2})(?:\sminutes?)?)"
    r"\s(?P<side>past|to)\s(?P<hour>[0-9]{1,2})\b(?!:)",
    re.IGNORECASE,
)
_NOON = re.compile(r"\b(?:noon|midday|midnight)\b", re.IGNORECASE)
_PARTS = r"mornings?|afternoons?|evenings?|nights?|lunch\s?time|dawn|dusk|weekends?"
_RELATIVE = re.compile(
    r"\b(?:the day (?:after tomorrow|before yesterday|before|after)|today|tonight|tomorrow|yesterday|overnight"
    r"|christmas|easter|thanksgiving|halloween|new year(?:'?s)?|valentine'?s|ramadan|diwali|hanukkah"
    r"|fortnight|daily|nightly|weekly|monthly|quarterly|yearly|annual(?:ly)?|hourly|ago|from now|other day|all day"
    r"|(?:this|next|last|coming|past|previous|following|each|every|per|later this|later that|that|same)"
    rf"\s+(?:(?:few|couple of)\s+)?(?:{_PARTS}|seconds?|minutes?|hours?|days?|weeks?|months?|quarters?|years?"
    rf"|(?:{_DAY})s?|{_MONTH}|summer|winter|spring|autumn|fall)|{_PARTS}|summer|winter|autumn)\b",
    re.IGNORECASE,
)
# Words that are also verbs, or the name of a star, are days and months only with a capital letter.
_WEEKDAY = re.compile(
    "|".join(
        rf"\b(?P<d{index}>{'(?-i:S)' + day[1:] if day[0] == 's' else day}|{full}s?)\b"
        for index, (day, full) in enumerate(zip(_DAYS, _FULL_DAYS, strict=True))
    ),
    re.IGNORECASE,
)
_MONTH_ALONE = re.compile(
    "|".join(
        rf"\b(?P<m{index}>{'(?-i:M)' + month[1:] if month[0] == 'm' else month})\b"
        for index, month in enumerate(_MONTHS, start=1)
    )
    + r"(?P<year>,?\s+[0-9]{4}\b)?",
    re.IGNORECASE,
)
_MODAL_MAY = re.compile(r"May(?=\s+(?:I|we|you|the|this|your|it|they)\b)")


def _iso(match: re.Match[str]) -> Iterator[Reading]:
    yield from _date(match[1], match[3], match[4])
    if match[5]:
        yield from _time(match[5], match[6], known=True)


def _written(match: re.Match[str]) -> Iterator[Reading]:
    name = match["month"] or match["month2"]
    if name in ("may", "march", "mar"):
        return
    month = _index(name, _MONTHS) + 1
    year = match["year"] or match["year2"]
    for day in (match["since"], match["day"], match["day2"], match["until"]):
        if day:
            yield from _date(year, month, day)


def _numeric(match: re.Match[str]) -> Iterator[Reading]:
    first, second = (int(match[1]), int(match[3])) if match[1] else (int(match[5]), int(match[6]))
    year = match[4] and (match[4] if len(match[4]) == 4 else f"20{match[4]}")
    if first == second or max(first, second) > 12:
        month, day = (second, first) if first > 12 else (first, second)
        yield from _date(year, month, day)
    else:
        yield "ambiguous date", (year, first, second)


def _date(year: str | None, month: str | int, day: str | int) -> Iterator[Reading]:
    whole = (int(year) if year else None, int(month), int(day))
    try:
        date(whole[0] or 2000, whole[1], whole[2])
    except ValueError:
        yield "impossible date", whole
    else:
        yield "date", whole


def _time(hour: str | int, minute: str | None, *, known: bool) -> Iterator[Reading]:
    if int(hour) <= 24 and int(minute or 0) < 60:
        yield "time", (int(hour) % 24, int(minute or 0), known)


def _time_12(match: re.Match[str]) -> Iterator[Reading]:
    if 1 <= int(match["hour"]) <= 12:
        afternoon = 12 if match["half"] in "pP" else 0
        yield from _time(int(match["hour"]) % 12 + afternoon, match["minute"], known=True)


def _range_12(match: re.Match[str]) -> Iterator[Reading]:
    if 1 <= int(match[1]) <= 12:
        yield from _time(match[1], match[2], known=False)


def _time_24(match: re.Match[str]) -> Iterator[Reading]:
    yield from _time(match[1], match[2], known=len(match[1]) == 2)


def _past(match: re.Match[str]) -> Iterator[Reading]:
    hour, back = int(match["hour"]), match["side"].lower() == "to"
    if not 1 <= hour <= 12:
        return
    minutes = int(match["minutes"]) if match["minutes"] else 30 if match["part"].lower() == "half" else 15
    moment = hour * 60 + (-minutes if back else minutes)
    yield from _time(moment // 60 % 12 or 12, str(moment % 60), known=False)


def _noon(match: re.Match[str]) -> Iterator[Reading]:
    yield "time", (0 if match.group().lower() == "midnight" else 12, 0, True)


def _relative(match: re.Match[str]) -> Iterator[Reading]:
    yield "relative day", " ".join(match.group().casefold().split())


def _weekday(match: re.Match[str]) -> Iterator[Reading]:
    yield "weekday", next(index for index in range(7) if match[f"d{index}"])


def _month(match: re.Match[str]) -> Iterator[Reading]:
    if _MODAL_MAY.match(match.string, match.start()):
        return
    month = next(index for index in range(1, 13) if match[f"m{index}"])
    yield "month", (int(match["year"].strip(", ")) if match["year"] else None, month)


def _index(name: str, patterns: tuple[str, ...]) -> int:
    return next(index for index, pattern in enumerate(patterns) if re.fullmatch(pattern, name, re.IGNORECASE))


RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Iterator[Reading]]], ...] = (
    (_ISO, _iso),
    (_WRITTEN, _written),
    (_NUMERIC, _numeric),
    (_RANGE_12, _range_12),
    (_TIME_12, _time_12),
    (_TIME_24, _time_24),
    (_OCLOCK, lambda match: _time(match[1], None, known=False)),
    (_PAST, _past),
    (_NOON, _noon),
    (_RELATIVE, _relative),
    (_WEEKDAY, _weekday),
    (_MONTH_ALONE, _month),
)
"""How each is found and read, what is more exact before what is less."""
