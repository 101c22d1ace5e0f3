"""What surrounds a phone number where it was written: in spreadsheets, links, address books and other scripts."""

from __future__ import annotations

import re
import unicodedata

_LONGEST = 250
"""Characters; longer ones are no phone numbers, and are not looked at."""

_QUOTED = re.compile(r"""'?=?"(.*)"|'(.*)""", re.DOTALL)
_WHATSAPP_ID = re.compile(r"(\d+)(?::\d+)?@(?:s\.whatsapp\.net|c\.us)", re.ASCII)
_WHATSAPP_LINK = re.compile(r"(?:https?://)?wa\.me/\+?(\d+)(?:[?/].*)?", re.ASCII | re.IGNORECASE | re.DOTALL)
_SCHEME = re.compile(r"(?:sms|callto|whatsapp)\s*:\s*(?://)?\s*", re.IGNORECASE)
_TEL = re.compile(r"tel\s*:\s*(?://)?\s*(?=[^;]*$)", re.IGNORECASE)  # with parameters it is left to phonenumbers
_FLOAT = re.compile(r"(\+?\d{6,15})[.,]0+", re.ASCII)
_POWER_OF_TEN = re.compile(r"[+-]?\d+(?:[.,]\d*)?\s*[eE]\s*[+-]?\d+", re.ASCII)
_BETWEEN_NUMBERS = re.compile(
    r"[/;,|&\n\r]|:::|(?<=\d)\s*\+|\s{2,}|\s(?:or|and|oder|und|ou|et|o|y|e)\s|(?<=\d{9})\s+(?=\d{9})", re.IGNORECASE
)
_MANY_DIGITS = 7
_EXTENSION = re.compile(
    r"(.*\d.*?)[\s,;(.-]*(?:\b(?:e?xtn?\.?|extension|durchwahl|dw\.?|poste|anexo|ramal|anknytning|interno|int\.?|wew\.?"
    r"|toestel|apparat|doorkiesnummer)|(?<=[\d\s])x|#|;ext=|(?<=\d),(?=\s*\d{1,5}\s*$))\s*[.:#=]?\s*(\d{1,7})\s*\)?\s*",
    re.IGNORECASE | re.DOTALL,
)


_MASKED = re.compile(r"\dx{2,}|[\s.()-]x{2,}|\*{2,}|•{2,}", re.IGNORECASE)
_REMARK = re.compile(r"(\+?[\d\s().\-/]*\d)\)?(?:\s*[(\[]|[\s,–-]\s*)[^\W\d]{2,}[^\d]*")
_ENOUGH_DIGITS = 9  # with fewer, letters may stand for digits: 1-800-555-CALL


def bare(raw: str) -> str:
    """The number without quotes, schemes, ids and links of WhatsApp, invisible characters, and with ASCII digits.

    A spreadsheet's `4915112345678.0`, `'0170…` and `="0170…"` become what was entered.
    """
    if len(raw) > _LONGEST:
        return raw
    shown = (c for c in unicodedata.normalize("NFKC", raw) if unicodedata.category(c) != "Cf")
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in shown).strip()
    if quoted := _QUOTED.fullmatch(text):
        text = (quoted[1] or quoted[2] or "").strip()
    if found := _WHATSAPP_ID.fullmatch(text) or _WHATSAPP_LINK.fullmatch(text):
        return f"+{found[1]}"
    text = _TEL.sub("", _SCHEME.sub("", text, count=1), count=1)
    as_float = _FLOAT.fullmatch(text)
    return as_float[1] if as_float else text


def is_whatsapp_id(text: str) -> bool:
    """Whether `4915112345678@s.whatsapp.net`, a number as WhatsApp names it, is meant, which is no mail address."""
    return _WHATSAPP_ID.fullmatch(text.strip()) is not None


def is_power_of_ten(text: str) -> bool:
    """Whether a spreadsheet has made `4.91511E+12` of a number, whose last digits are gone."""
    return _POWER_OF_TEN.fullmatch(text) is not None


def is_masked(text: str) -> bool:
    """Whether letters or stars stand where digits are not to be seen: `+49 151 XXXXX`, `+1 810 *** 0123`."""
    return _MASKED.search(text) is not None


def without_remark(text: str) -> str:
    """A number without the words behind it: `+49 151 23456784 (mobil)`, `810 555 0101 WhatsApp only`."""
    found = _REMARK.fullmatch(text)
    return found[1] if found and sum(map(str.isdigit, found[1])) >= _ENOUGH_DIGITS else text


def count_numbers(text: str) -> int:
    """How many numbers one cell holds: `810-555-0101 / 810-555-0102` holds two, `030/1234567` one."""
    return max(len(numbers_in(text)), 1)


def numbers_in(text: str) -> list[str]:
    """The numbers that one cell holds, each as it is written."""
    if len(text) > _LONGEST:
        return [text]
    many = [part.strip() for part in _BETWEEN_NUMBERS.split(text) if sum(map(str.isdigit, part)) >= _MANY_DIGITS]
    return many if len(many) > 1 else [text]


def without_extension(text: str) -> tuple[str, str | None]:
    """A number without the extension behind it, and that: `810 555 0101 ext. 12`, `030 901820 Durchwahl 12`."""
    found = _EXTENSION.fullmatch(text)
    if found is None or sum(map(str.isdigit, found[1])) < _MANY_DIGITS - 1:
        return text, None
    return found[1].rstrip(" ,;-("), found[2]
