"""Numbers that are written in two ways, and the one way in which they are compared.

Carriers and WhatsApp go on writing numbers as they were before a country changed its plan, or with a digit that
the plan has only for calls. Without one form for both, a STOP from one does not find the person under the other.

- Mexico: +52 **1** and ten digits. The 1 of mobiles was abolished in 2019 (IFT); WhatsApp keeps it.
- Argentina: +54 and ten digits without the 9, or with 15 after the area code. 9 from abroad and 15 at home lead to a
  mobile and are no part of its ten digits (Plan Fundamental de Numeración Nacional, resolution SC 46/97).
- Brazil: mobiles of eight digits. A 9 was put before those that began with 6 to 9 (Anatel, resolution 553/2010; ITU
  Operational Bulletin, communication of 6.II.2013); WhatsApp leaves it out in most areas.
- Côte d'Ivoire: mobiles of eight digits. 01, 05 or 07 stands before them since 31 January 2021 (ARTCI).
- Benin: eight digits. 01 stands before them since 30 November 2024 (ARCEP Bénin).
- Gabon: 0 and seven digits, or these seven alone. 02, 05, 06 became 62, 65, 66; 04, 07 became 74, 77; 01 became 11.
  The old ones ended on 6 April 2024 (ARCEP Gabon).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

_MEXICO = re.compile(r"\+521([2-9]\d{9})", re.ASCII)
_ARGENTINA = re.compile(r"\+54((?:11|[23]\d)\d{8})", re.ASCII)
_ARGENTINA_WITH_15 = re.compile(r"\+549?((?:11|[23]\d)\d{10})", re.ASCII)
_BRAZIL = re.compile(
    # 70 and 77 to 79 of eight digits were Nextel's radios, which never got a ninth.
    r"\+55([1-9][1-9])([689]\d{7}|7[1-6]\d{6})",
    re.ASCII,
)
_IVORY_COAST = re.compile(r"\+225((?:0(?=[1-9])|[457]|[689](?=[4-9]))(\d)\d{6})", re.ASCII)
_BENIN = re.compile(r"\+229([24-9]\d{7})", re.ASCII)
_GABON = re.compile(r"\+2410?([124-7]\d{6})", re.ASCII)
_GABON_PREFIX = {"1": "1", "2": "6", "4": "7", "5": "6", "6": "6", "7": "7"}


def canonical_number(e164: str) -> str:
    """The form in which a number is compared: the same for every way to write one subscriber's number.

    Whatever it does not know comes back as it is. Where a landline and a mobile can be told apart only by a digit
    that is often left out (Argentina), the canonical form is the mobile's: it is for comparing, and messages go to
    the number as it was stored.
    """
    rule = _RULES.get(e164[:3])
    return e164 if rule is None else rule(e164)


def same_number(one: str, other: str) -> bool:
    """Whether two numbers in E.164 are one subscriber's."""
    return one == other or canonical_number(one) == canonical_number(other)


@lru_cache(maxsize=16_384)
def is_mobile(e164: str) -> bool | None:
    """Whether a number in E.164 is a mobile's; None where its plan does not tell, as in the US and Mexico."""
    kinds = {_kind(e164), _kind(canonical_number(e164))} - {PhoneNumberType.UNKNOWN}
    if len(kinds) != 1:
        return None
    kind = kinds.pop()
    return None if kind == PhoneNumberType.FIXED_LINE_OR_MOBILE else kind == PhoneNumberType.MOBILE


def _kind(e164: str) -> int:
    try:
        kind: int = phonenumbers.number_type(phonenumbers.parse(e164))
    except NumberParseException:
        return int(PhoneNumberType.UNKNOWN)
    return kind


def _mexico(e164: str) -> str:
    found = _MEXICO.fullmatch(e164)
    return f"+52{found[1]}" if found else e164


def _argentina(e164: str) -> str:
    if found := _ARGENTINA.fullmatch(e164):
        return f"+549{found[1]}"
    if found := _ARGENTINA_WITH_15.fullmatch(e164):
        # How long its area code is, and so where the 15 stands, only the plan knows.
        read = phonenumbers.parse(f"+54{found[1]}")
        e164_of_it: str = phonenumbers.format_number(read, PhoneNumberFormat.E164)
        return e164_of_it if len(e164_of_it) == len("+549") + 10 else e164
    return e164


def _brazil(e164: str) -> str:
    found = _BRAZIL.fullmatch(e164)
    return f"+55{found[1]}9{found[2]}" if found else e164


def _ivory_coast_or_benin(e164: str) -> str:
    if found := _BENIN.fullmatch(e164):
        return f"+22901{found[1]}"
    if found := _IVORY_COAST.fullmatch(e164):
        # The second of the eight digits was the operator's: 0 to 3 Moov, 4 to 6 MTN, 7 to 9 Orange.
        operator = "01" if found[2] < "4" else "05" if found[2] < "7" else "07"
        return f"+225{operator}{found[1]}"
    return e164


def _gabon(e164: str) -> str:
    found = _GABON.fullmatch(e164)
    return f"+241{_GABON_PREFIX[found[1][0]]}{found[1]}" if found else e164


_RULES: dict[str, Callable[[str], str]] = {
    "+52": _mexico,
    "+54": _argentina,
    "+55": _brazil,
    "+22": _ivory_coast_or_benin,
    "+24": _gabon,
}


def canonical_address(address: str) -> str:
    """What an address as it is stored is compared by: a number's canonical form, a mail address in lower case.

    An id by which a channel knows somebody, without a number, is compared as it is.
    """
    if "@" in address:
        return address.lower()
    return canonical_number(address) if address.startswith("+") else address


def spellings_of(address: str) -> set[str]:
    """The ways in which a carrier or WhatsApp may write the same address, itself among them."""
    same = canonical_address(address)
    found = {address, same}
    for pattern, other in _REWRITES:
        found |= {pattern.sub(other, one) for one in found}
    return {one for one in found if canonical_address(one) == same}


_REWRITES = (
    (re.compile(r"^\+521(\d{10})$"), r"+52\1"),
    (re.compile(r"^\+52(\d{10})$"), r"+521\1"),
    (re.compile(r"^\+549(\d{10})$"), r"+54\1"),
    (re.compile(r"^\+54(\d{10})$"), r"+549\1"),
    (re.compile(r"^\+55(\d\d)9(\d{8})$"), r"+55\1\2"),
    (re.compile(r"^\+55(\d\d)(\d{8})$"), r"+55\g<1>9\2"),
    (re.compile(r"^\+(22[59])0[157](\d{8})$"), r"+\1\2"),
    (re.compile(r"^\+241\d(\d{7})$"), r"+241\1"),
    (re.compile(r"^\+241(\d{7})$"), r"+2410\1"),
)
"""The rules above the other way round; what they make counts where it leads back to the same number."""
