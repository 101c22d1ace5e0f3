"""Phone numbers: read as people and providers write them, stored as E.164 (ITU-T Recommendation E.164).

A number is accepted when it is *possible*: its country exists, has numbers of that length, and its plan can have it.
Whether it is also *valid*, in a range that the country has given out, does not decide. Ranges are opened faster than
the metadata on a server is renewed, and fictional numbers such as +15555550123 belong into tests and demos; what
nobody answers, the provider will say.

The line is drawn at the plan itself. In North America, area codes and exchanges begin with 2 to 9, the second digit
of an area code is not 9, and none ends in 11 (NANPA): +1 041 234 5678 cannot exist, +1 555 555 0123 and
+1 810 555 0123 can. Nowhere does a number begin with a zero whose plan knows none. An old writing of a number that
exists (+52 1 …) is read as that number.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import phonenumbers
from phonenumbers import (
    NumberParseException,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
)

from tidings.errors import InvalidInput
from tidings.messages.contacts.numbers.canonical import canonical_number, is_mobile, same_number
from tidings.messages.contacts.numbers.written import (
    bare,
    count_numbers,
    is_masked,
    is_power_of_ten,
    without_remark,
)

__all__ = ["DEFAULT_REGION", "canonical_number", "is_mobile", "parse_phone", "parse_provider_phone", "same_number"]

DEFAULT_REGION = "US"
_E164_DIGITS = 15
_LONG_ENOUGH = len("+4512345678")
"""Shorter ones with country code are those of a few islands, and more often a mobile of nine digits without its 0."""
_SHOWN_CHARACTERS = 40
_WRITTEN_AS_E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_ONLY_DIGITS = re.compile(r"[\d\s().\-/]+", re.ASCII)
_NORTH_AMERICA = 1
_IN_NORTH_AMERICA = re.compile(r"[2-9](?!11|9)\d\d[2-9]\d{6}", re.ASCII)
_FICTIONAL = re.compile(r"\+1(?:555[2-9]\d{6}|[2-9](?!11|9)\d\d55501\d\d)", re.ASCII)
_MOBILES = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
_OLD_MEXICAN_TRUNK = re.compile(r"0(?:1|44|45)([2-9]\d{9})", re.ASCII)
"""What was dialled before a number at home until 2019, and still stands in address books."""


def parse_phone(raw: str, region: str = DEFAULT_REGION) -> str:
    """The E.164 form of what a person wrote: ``(810) 555-0123`` becomes ``+18105550123``.

    A number without + is read as dialled in `region` (ISO 3166-1, two letters), with that region's own
    international prefix: 00 in Germany, 011 in the US. Spaces, dashes, dots, brackets, ``tel:``, vanity
    letters (1-800-FLOWERS), digits of every script and what spreadsheets do to numbers are understood.

    People and spreadsheets also leave out the + itself. Where the digits cannot be a mobile in the region and are
    a valid one with +, they are read with it: ``4915112345678`` is +4915112345678 in Germany, too, and not the
    landline 04915 112345678. Where both readings may be mobiles, the region's is taken if it is written in full as
    it is dialled there (as all Chinese mobiles are, which begin with 1); otherwise nobody can know.

    Raises InvalidInput with field ``phone`` when no phone can have the number, when there are two readings or
    several numbers, when it lacks its area code or names an extension, which no message reaches; with field
    ``region`` when there is no such region.
    """
    country = _country(region)
    if _WRITTEN_AS_E164.fullmatch(raw) and _stays(raw):
        return raw
    text = _one_number(raw)
    abroad = _with_plus(text)
    if abroad is not None and not (abroad.is_valid and abroad.may_be_mobile):
        abroad = None
    try:
        here = _Candidate.of(text, country)
    except InvalidInput as error:
        if abroad is not None:
            return abroad.e164
        raise InvalidInput(error.field, error.message.format(_shown(raw), country)) from error
    if abroad is None or abroad.e164 == here.e164 or len(abroad.e164) < _LONG_ENOUGH:
        return here.e164
    if _is_in_full(text, here) and not here.is_voicemail:
        return here.e164
    if here.may_be_mobile:
        raise InvalidInput(
            "phone",
            f"{_shown(raw)} may be {here.e164} (as dialled in {country}) or {abroad.e164}; write the one that is "
            "meant, with + and country code",
        )
    return abroad.e164


def parse_provider_phone(raw: str, region: str = DEFAULT_REGION) -> str:
    """The E.164 form of what a provider or WhatsApp sent: ``4915112345678`` is +4915112345678 wherever one is.

    Digits without + are international, after 00 as well. Only where no such number can exist, they are read as
    dialled in `region`. Raises what `parse_phone` raises; two readings are no reason here.
    """
    country = _country(region)
    if _WRITTEN_AS_E164.fullmatch(raw) and _stays(raw):
        return raw
    text = _one_number(raw)
    abroad = _with_plus(text)
    if abroad is not None and abroad.is_valid:
        return abroad.e164
    try:
        here = _Candidate.of(text, country)
    except InvalidInput as error:
        if abroad is not None:
            return abroad.e164
        raise InvalidInput(error.field, error.message.format(_shown(raw), country)) from error
    return here.e164 if abroad is None or here.is_valid else abroad.e164


class _Candidate:
    """One way to read a number. `is_valid`: its country has given it out, or keeps it for fiction."""

    def __init__(self, number: PhoneNumber, e164: str) -> None:
        self.number = number
        self.e164 = e164
        self.is_valid = phonenumbers.is_valid_number(number) or _FICTIONAL.fullmatch(e164) is not None

    @property
    def may_be_mobile(self) -> bool:
        return phonenumbers.number_type(self.number) in _MOBILES or _FICTIONAL.fullmatch(self.e164) is not None

    @property
    def is_voicemail(self) -> bool:
        return bool(phonenumbers.number_type(self.number) == PhoneNumberType.VOICEMAIL)

    @classmethod
    def of(cls, text: str, country: str | None) -> _Candidate:
        """Reads `text` as dialled in `country`, or with its +.

        Raises InvalidInput, in whose sentence {0} stands for what was written and {1} for the country.
        """
        if country == "MX" and (old := _OLD_MEXICAN_TRUNK.fullmatch("".join(filter(str.isdigit, text)))):
            text = old[1]
        try:
            number = phonenumbers.parse(text, country)
        except NumberParseException as error:
            raise InvalidInput("phone", _unreadable(text, error)) from error
        if number.extension:
            raise InvalidInput(
                "phone", f"{{0}} has the extension {number.extension}, which messages cannot reach; leave it out"
            )
        reading = cls(number, phonenumbers.format_number(number, PhoneNumberFormat.E164))
        if reading.is_valid:
            return reading
        current = canonical_number(reading.e164)
        if current != reading.e164:
            found = cls(phonenumbers.parse(current), current)
            if found.is_valid:
                return found
        # The comparison with IS_POSSIBLE is stricter than is_possible_number, which also takes local numbers.
        verdict = phonenumbers.is_possible_number_with_reason(number)
        if verdict == ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
            raise InvalidInput("phone", "{0} lacks its area code; write it with + and country code")
        if verdict != ValidationResult.IS_POSSIBLE or not _plan_has(number, reading.e164):
            place = "its country" if text.startswith("+") else "{1}"
            raise InvalidInput(
                "phone", f"{{0}} is not a phone number that can exist in {place}; write it with + and country code"
            )
        return reading


def _one_number(raw: str) -> str:
    text = bare(raw)
    if is_power_of_ten(text):
        raise InvalidInput(
            "phone",
            f"{_shown(raw)} has lost its digits to a spreadsheet; format that column as text and enter it again",
        )
    if is_masked(text):
        raise InvalidInput("phone", f"{_shown(raw)} hides some of its digits; write all of them")
    if (count := count_numbers(text)) > 1:
        raise InvalidInput("phone", f"{_shown(raw)} is not a phone number but {count}; write one of them")
    return without_remark(text)


def _with_plus(text: str) -> _Candidate | None:
    """How digits without + read as an international number, if one can have them."""
    if not _ONLY_DIGITS.fullmatch(text):
        return None
    digits = "".join(filter(str.isdigit, text)).removeprefix("00")
    if digits.startswith("0"):
        return None
    try:
        return _Candidate.of(f"+{digits}", None)
    except InvalidInput:
        return None


def _is_in_full(text: str, reading: _Candidate) -> bool:
    """Whether a number that is given out is written with all the digits that are dialled for it in its country."""
    if not reading.is_valid:
        return False
    dialled = phonenumbers.format_number(reading.number, PhoneNumberFormat.NATIONAL)
    return list(filter(str.isdigit, text)) == list(filter(str.isdigit, dialled))


def _plan_has(number: PhoneNumber, e164: str) -> bool:
    national = phonenumbers.national_significant_number(number)
    if len(e164) > _E164_DIGITS + 1:
        return False
    if number.country_code == _NORTH_AMERICA:
        return _IN_NORTH_AMERICA.fullmatch(national) is not None
    if not national.startswith("0"):
        return True
    plan = _plan(str(number.country_code))
    return plan is not None and re.fullmatch(plan.general_desc.national_number_pattern, national) is not None


def _stays(e164: str) -> bool:
    """Whether a possible number reads as it is written, which is known without reading it; a tenth of the time."""
    if e164[1] == "1":
        return _IN_NORTH_AMERICA.fullmatch(e164, 2) is not None
    for end in (2, 3, 4):
        plan = _plan(e164[1:end])
        if plan is not None:
            lengths, prefix = plan.general_desc.possible_length, _trunk_prefix(e164[1:end])
            # A zero or a trunk prefix after the country code may have to go.
            stays = len(e164) - end in lengths and e164[end] != "0" and not (prefix and prefix.match(e164, end))
            return stays and canonical_number(e164) == e164
    return False


@cache
def _plan(code: str) -> Any:
    """The plan of a country code, its main country's where several share it; None when there is no such code."""
    region = phonenumbers.region_code_for_country_code(int(code))
    if region == phonenumbers.UNKNOWN_REGION:
        return None
    if region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY:
        return PhoneMetadata.metadata_for_nongeo_region(int(code), None)
    return PhoneMetadata.metadata_for_region(region, None)


@cache
def _trunk_prefix(code: str) -> re.Pattern[str] | None:
    prefix = _plan(code).national_prefix_for_parsing
    return re.compile(prefix) if prefix else None


def _country(region: str) -> str:
    country = region.strip().upper()
    if country not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidInput("region", f"{_shown(region)} is not a country code; write two letters such as US or DE")
    return country


def _unreadable(text: str, error: NumberParseException) -> str:
    if not text:
        return "is empty; write a phone number with + and country code"
    if error.error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return "{0} begins with a country code that does not exist; check the digits after +"
    return "{0} is not a phone number; write one with + and country code"


def _shown(raw: str) -> str:
    return repr(raw if len(raw) <= _SHOWN_CHARACTERS else raw[:_SHOWN_CHARACTERS] + "…")
