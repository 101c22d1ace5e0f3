"""What people write into the cells of lists: nothing in many words, several numbers, mail addresses with names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from tidings.errors import InvalidInput
from tidings.messages.contacts.numbers.phones import is_mobile, parse_phone
from tidings.messages.contacts.numbers.written import bare, is_power_of_ten, numbers_in, without_extension
from tidings.messages.contacts.placeholders import is_placeholder

_EMPTY = frozenset({"s/n", "s.o.", "s.d.", "#n/a", "#ref!", "#value!", "#name?"})
"""What stands where there is nothing, in small letters, beside what stands for nothing everywhere."""

_ADDRESS = re.compile(r"[^\s<>,;|\"'()\[\]:]+@[^\s<>,;|\"'()\[\]:?]+")
_DISPLAY_NAME = re.compile(r"\s*\"?([^<>@\"]+?)\"?\s*<[^<>]*>\s*")
_ONE_NUMBER = re.compile(r"\+?[\d().-]+(?: [\d().-]+){0,6}", re.ASCII)
_PARTS = re.compile(r"[/;|\n]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff]")


def value_of(cell: str) -> str:
    """What a cell says, in one line; nothing for `N/A` and its like. A spreadsheet's mark for text is dropped."""
    text = " ".join(_CONTROLS.sub("", cell).split())
    if text.startswith("'") and not text.startswith("'t "):
        text = text[1:]
    return "" if is_empty(text) else text


@lru_cache(maxsize=4096)
def is_empty(text: str, *, may_be_name: bool = True) -> bool:
    """Whether a text is one of those that stand for nothing."""
    return text.casefold() in _EMPTY or is_placeholder(text, may_be_name=may_be_name)


@dataclass(slots=True)
class Addresses:
    """The phones (E.164) and mails that were found, in order; `bad` has sentences about those that are none."""

    phones: list[str] = field(default_factory=list)
    emails: list[str] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)
    name: str | None = None

    def take_phones(self, cell: str, region: str) -> None:
        """Takes the numbers of a cell, without their extensions."""
        cell = _CONTROLS.sub("", cell.replace("\r", "\n")).strip()
        if not cell or is_empty(" ".join(cell.split()).removeprefix("'"), may_be_name=False):
            return
        for written in _numbers(cell):
            number, extension = (
                (written, None)
                if len(written) <= 20 and _ONE_NUMBER.fullmatch(written)
                else without_extension(written)
            )
            try:
                phone = parse_phone(" ".join(number.split()), region)
            except InvalidInput as error:
                if error.field != "phone":
                    raise
                self.bad.append(("phone", error.message + _how_to_export(written)))
                continue
            if extension:
                self.notes.append(("phone", f"{phone} has the extension {extension}, which messages cannot reach"))
            if phone not in self.phones:
                self.phones.append(phone)

    def take_emails(self, cell: str) -> None:
        """Takes the mail addresses of a cell, and the name that one of them is written with."""
        text = value_of(cell)
        if not text or is_empty(text, may_be_name=False):
            return
        if "<" in text and (named := _DISPLAY_NAME.fullmatch(text)):
            self.name = self.name or named[1].strip()
        try:
            emails = [_valid(text)]
        except EmailNotValidError as error:
            emails, why = [], error
            for written in _ADDRESS.findall(re.sub(r"mailto:", " ", text, flags=re.IGNORECASE)):
                try:
                    emails.append(_valid(written.rstrip(".")))
                except EmailNotValidError as other:
                    why = other
                    self.bad.append(("email", f"{written[:80]!r} is not an email address: {other}"))
            if not emails and not any(name == "email" for name, _ in self.bad):
                self.bad.append(("email", f"{text[:80]!r} is not an email address: {why}"))
        self.emails += [email for email in dict.fromkeys(emails) if email not in self.emails]

    def preferred_phone(self) -> str | None:
        """The first number that may be a mobile's, else the first one."""
        return next((one for one in self.phones if is_mobile(one) is not False), next(iter(self.phones), None))


def _numbers(cell: str) -> list[str]:
    if len(cell) <= 20 and _ONE_NUMBER.fullmatch(cell):
        return [cell]
    many = numbers_in(cell)
    if len(many) > 1:
        return many
    parts = [part.strip() for part in _PARTS.split(cell) if part.strip()]
    international = [part for part in parts if part.startswith("+")]
    # "none / +1 810 555 0101": of what stands beside it nothing is a number.
    return international if len(parts) > 1 and len(international) == 1 else [cell]


def _how_to_export(written: str) -> str:
    if not is_power_of_ten(bare(written)):
        return ""
    return "; export the file once more from where it comes from, and do not save it in a spreadsheet in between"


@lru_cache(maxsize=1024)
def _valid(text: str) -> str:
    return validate_email(text, check_deliverability=False).normalized.lower()
