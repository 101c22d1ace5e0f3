"""Numbers of the whole world, as they are written and by which door they come in."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from support.cases import every_case
from support.examples import examples
from tidings.errors import InvalidInput
from tidings.messages.contacts.numbers.phones import (
    canonical_number,
    is_mobile,
    parse_phone,
    parse_provider_phone,
    same_number,
)

TABLE = list(csv.DictReader(Path(__file__).with_name("numbers.csv").read_text(encoding="utf-8").splitlines(True)))
DOORS = {
    "person": parse_phone,
    "spreadsheet": parse_phone,
    "provider": parse_provider_phone,
    "whatsapp": parse_provider_phone,
}


def e164(number: PhoneNumber) -> str:
    return str(phonenumbers.format_number(number, PhoneNumberFormat.E164))


@every_case("row", TABLE, ids=lambda row: f"{row['country']} {row['written']} {row['door']} {row['region']}")
def test_a_number_is_read_as_its_writer_meant_it(row: dict[str, str]) -> None:
    read = DOORS[row["door"]]
    if row["refusal"]:
        with pytest.raises(InvalidInput) as caught:
            read(row["written"], row["region"])
        assert caught.value.field == "phone"
        assert row["refusal"] in caught.value.message
    else:
        assert read(row["written"], row["region"]) == row["read"]


def test_the_table_of_numbers_is_wide_and_right() -> None:
    assert len(TABLE) >= 150
    assert len({row["country"] for row in TABLE}) >= 40
    for row in TABLE:
        if row["read"] and not row["read"].startswith("+1555"):
            number = phonenumbers.parse(row["read"])
            assert phonenumbers.is_valid_number(number), row
            assert number.country_code == phonenumbers.country_code_for_region(row["country"]), row


ASSIGNED = [
    (region, kind, number)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    for kind in sorted(PhoneNumberType.values())
    if (number := phonenumbers.example_number_for_type(region, kind)) is not None
    and phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
]
"""An example of every kind of number of every region; those without an area code are left out, as nobody abroad
can reach them."""


@st.composite
def numbers(draw: st.DrawFn) -> tuple[str, PhoneNumber]:
    """A region and one of its numbers that its plan has given out, of any kind."""
    region, _, example = draw(st.sampled_from(ASSIGNED))
    national = phonenumbers.national_significant_number(example)
    changed = draw(st.integers(0, min(len(national) - 2, 7)))
    tail = draw(st.text("0123456789", min_size=changed, max_size=changed))
    number = PhoneNumber()
    number.merge_from(example)
    number.national_number = int(national[: len(national) - changed] + tail)
    assume(phonenumbers.is_valid_number_for_region(number, region))
    assume(phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE)
    return region, number


_IN_TWO_WRITINGS = re.compile(r"\+54(?!9)(11|[23]\d)\d{8}|\+55\d\d7[1-6]\d{6}|\+2410?[1-7]\d{6}")
"""The numbers that their plan still knows in a second writing, in the one that they are not compared by."""


def test_every_kind_of_number_of_every_region_is_read_by_every_door() -> None:
    wrong = []
    for region, kind, number in ASSIGNED:
        expected, national = e164(number), phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        readings = {
            "E.164": parse_phone(expected, "US"),
            "national": parse_phone(national, region),
            "provider": parse_provider_phone(expected[1:], region),
            "provider elsewhere": parse_provider_phone(expected[1:], "US"),
            "whatsapp": parse_provider_phone(f"{expected[1:]}@s.whatsapp.net", "DE"),
            "provider, E.164": parse_provider_phone(expected, region),
        }
        if kind == PhoneNumberType.MOBILE:
            readings["+ lost"] = parse_phone(expected[1:], region)
        wrong += [(region, kind, expected, door, read) for door, read in readings.items() if read != expected]
    assert not wrong


@settings(max_examples=examples(2500), deadline=None)
@given(numbers(), st.sampled_from(["US", "DE", "IT", "BR", "AR", "MX", "CN"]))
def test_a_number_that_is_given_out_stays_itself_whoever_writes_it(
    case: tuple[str, PhoneNumber], elsewhere: str
) -> None:
    region, number = case
    expected = e164(number)
    assert parse_phone(expected, elsewhere) == expected
    assert parse_phone(phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL), elsewhere) == expected
    assert parse_phone(phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL), region) == expected
    assert parse_provider_phone(expected[1:], elsewhere) == expected
    assert parse_provider_phone(f"00{expected[1:]}", elsewhere) == expected


@settings(max_examples=examples(2500), deadline=None)
@given(numbers())
def test_the_canonical_form_joins_no_two_numbers_that_are_given_out(case: tuple[str, PhoneNumber]) -> None:
    written = e164(case[1])
    canonical = canonical_number(written)
    assert canonical_number(canonical) == canonical
    assert same_number(written, canonical)
    # What stays itself is joined with nothing else that does.
    assert canonical == written or _IN_TWO_WRITINGS.fullmatch(written)


@settings(deadline=None)
@given(st.from_regex(r"\+(52|54|55|225|229|241|1|49)?[0-9]{0,15}", fullmatch=True) | st.text())
def test_every_text_has_a_canonical_form_and_it_is_its_own(text: str) -> None:
    canonical = canonical_number(text)
    assert canonical_number(canonical) == canonical
    assert is_mobile(text) in (True, False, None)
