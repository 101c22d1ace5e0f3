"""The country of a phone number, by its first digits: many are asked at once, and reading one whole takes long."""

from __future__ import annotations

from functools import lru_cache

import phonenumbers
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    REGION_CODE_FOR_NON_GEO_ENTITY,
    NumberParseException,
    PhoneNumber,
)

UNKNOWN = "unknown"
_NANP = 1
_NANP_DIGITS = 10
_ANY_SUBSCRIBER = 2_345_678
"""A subscriber number that exists in every area of North America."""


def country_of(phone: str) -> str:
    """The region (ISO 3166-1, two letters) of an E.164 number; of one that has none, its calling code (+800)."""
    code, national = _split(phone)
    if code is None:
        return UNKNOWN
    regions = COUNTRY_CODE_TO_REGION_CODE[code]
    if regions[0] == REGION_CODE_FOR_NON_GEO_ENTITY:
        return f"+{code}"
    if len(regions) == 1:
        return str(regions[0])
    if code == _NANP and len(national) == _NANP_DIGITS:
        return _region_of_area(national[:3])
    try:
        return str(phonenumbers.region_code_for_number(phonenumbers.parse(phone)) or regions[0])
    except NumberParseException:
        return str(regions[0])


def _split(phone: str) -> tuple[int | None, str]:
    digits = phone.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        return None, ""
    for length in (1, 2, 3):
        if (code := int(digits[:length])) in COUNTRY_CODE_TO_REGION_CODE:
            return code, digits[length:]
    return None, ""


@lru_cache(maxsize=1_000)
def _region_of_area(area: str) -> str:
    """The country of a North American area code: no two countries share one."""
    number = PhoneNumber(country_code=_NANP, national_number=int(area) * 10**7 + _ANY_SUBSCRIBER)
    return str(phonenumbers.region_code_for_number(number) or "US")
