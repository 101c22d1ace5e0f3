"""Phone numbers: read as people write them, stored as E.164 (ITU-T Recommendation E.164).

A number is accepted when it is *possible*: its country exists and has numbers of that length. Whether it is
also *valid*, in a range that the country has given out, does not decide. Ranges are opened faster than the
metadata on a server is renewed, and fictional numbers such as +15555550123 belong into tests and demos; what
nobody answers, the provider will say.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumberFormat, ValidationResult

from tidings.errors import InvalidInput

DEFAULT_REGION = "US"
_E164_DIGITS = 15
_SHOWN_CHARACTERS = 40
_WRITTEN_AS_E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_POWER_OF_TEN = re.compile(r"\s*'?[+-]?\d+(?:[.,]\d*)?[eE][+-]?\d+\s*")


def parse_phone(raw: str, region: str = DEFAULT_REGION) -> str:
    """The E.164 form of `raw`: ``(810) 555-0123`` becomes ``+18105550123``.

    A number without + is read as dialled in `region` (ISO 3166-1, two letters), with that region's own
    international prefix: 00 in Germany, 011 in the US. Spaces, dashes, dots, brackets, ``tel:`` and vanity
    letters (1-800-FLOWERS) are understood.

    Raises InvalidInput with field ``phone`` when no phone can have the number, when it lacks its area code or
    when it names an extension, which no message reaches; with field ``region`` when there is no such region.
    """
    country = region.strip().upper()
    if country not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidInput("region", f"{_shown(region)} is not a country code; write two letters such as US or DE")
    if _WRITTEN_AS_E164.fullmatch(raw) and _stays(raw):
        return raw
    if _POWER_OF_TEN.fullmatch(raw):
        raise InvalidInput(
            "phone",
            f"{_shown(raw)} has lost its digits to a spreadsheet; format that column as text and enter it again",
        )
    try:
        number = phonenumbers.parse(raw, country)
    except NumberParseException as error:
        raise InvalidInput("phone", _unreadable(raw, error)) from error
    if number.extension:
        raise InvalidInput(
            "phone", f"{_shown(raw)} has the extension {number.extension}, which messages cannot reach; leave it out"
        )
    # The comparison with IS_POSSIBLE is stricter than is_possible_number, which also takes local numbers.
    verdict = phonenumbers.is_possible_number_with_reason(number)
    if verdict == ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        raise InvalidInput("phone", f"{_shown(raw)} lacks its area code; write it with + and country code")
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if verdict != ValidationResult.IS_POSSIBLE or len(e164) > _E164_DIGITS + 1:
        place = country if raw.strip().lstrip("'")[:1] not in {"+", "\N{FULLWIDTH PLUS SIGN}"} else "its country"
        raise InvalidInput(
            "phone",
            f"{_shown(raw)} is not a phone number that can exist in {place}; write it with + and country code",
        )
    return e164


def _stays(e164: str) -> bool:
    """Whether a possible number reads as it is written, which is known without reading it; a tenth of the time."""
    for end in (2, 3, 4):
        found = _lengths_and_prefix(e164[1:end])
        if found is not None:
            lengths, prefix = found
            # A zero or a trunk prefix after the country code may have to go.
            return len(e164) - end in lengths and e164[end] != "0" and not (prefix and prefix.match(e164, end))
    return False


@cache
def _lengths_and_prefix(code: str) -> tuple[frozenset[int], re.Pattern[str] | None] | None:
    """How long the numbers of a country code are, and the trunk prefix there; None when there is no such code."""
    region = phonenumbers.region_code_for_country_code(int(code))
    if region == phonenumbers.UNKNOWN_REGION:
        return None
    metadata: Any = (
        PhoneMetadata.metadata_for_nongeo_region(int(code), None)
        if region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY
        else PhoneMetadata.metadata_for_region(region, None)
    )
    prefix = metadata.national_prefix_for_parsing
    return frozenset(metadata.general_desc.possible_length), re.compile(prefix) if prefix else None


def _unreadable(raw: str, error: NumberParseException) -> str:
    if not raw.strip():
        return "is empty; write a phone number with + and country code"
    if error.error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return f"{_shown(raw)} begins with a country code that does not exist; check the digits after +"
    return f"{_shown(raw)} is not a phone number; write one with + and country code"


def _shown(raw: str) -> str:
    return repr(raw if len(raw) <= _SHOWN_CHARACTERS else raw[:_SHOWN_CHARACTERS] + "…")


def canonical_number(e164: str) -> str:
    """The one form of a number that carriers write in two ways."""
    return e164
