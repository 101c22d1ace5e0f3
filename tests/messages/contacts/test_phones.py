from __future__ import annotations

import re
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from support.cases import every_case
from support.examples import examples
from tidings.errors import InvalidInput
from tidings.messages.contacts.numbers import phones
from tidings.messages.contacts.numbers.phones import parse_phone


@every_case(
    ("raw", "region", "e164"),
    [
        pytest.param("+18105550123", "US", "+18105550123", id="the specification's fictional number"),
        pytest.param("+15555550123", "US", "+15555550123", id="possible though in no area that exists"),
        pytest.param("(810) 555-0123", "US", "+18105550123", id="brackets and dashes"),
        pytest.param("810.555.0123", "US", "+18105550123", id="dots"),
        pytest.param("1 810 555 0123", "US", "+18105550123", id="the trunk digit"),
        pytest.param("  8105550123\n", "us", "+18105550123", id="surrounding space and a small region"),
        pytest.param("8105550123", "CA", "+18105550123", id="a region that shares its code"),
        pytest.param("tel:+1-810-555-0123", "DE", "+18105550123", id="a tel URI"),
        pytest.param("1-800-FLOWERS", "US", "+18003569377", id="vanity letters"),
        pytest.param("+1-800-555-CALL", "US", "+18005552255", id="vanity letters at the end"),
        pytest.param("+49-151-23456784 (mobil)", "US", "+4915123456784", id="a remark in brackets"),
        pytest.param("810 555 0101 WhatsApp only", "US", "+18105550101", id="a remark behind"),
        pytest.param("+49 (0) 151 23456784 (Mama)", "US", "+4915123456784", id="a remark and a zero in brackets"),
        pytest.param("８１０５５５０１２３", "US", "+18105550123", id="full-width digits"),
        pytest.param("0170 1234567", "DE", "+491701234567", id="a national number elsewhere"),
        pytest.param("0018105550123", "DE", "+18105550123", id="00 as Germany dials abroad"),
        pytest.param("011 49 170 1234567", "US", "+491701234567", id="011 as the US dials abroad"),
        pytest.param("00491701234567", "US", "+491701234567", id="00 where 011 is dialled"),
        pytest.param("+49 (0)170 1234567", "US", "+491701234567", id="a trunk zero in brackets"),
        pytest.param("02 3456 7890", "IT", "+390234567890", id="an Italian zero stays"),
        pytest.param("+290 1234", "US", "+2901234", id="the shortest numbers there are"),
    ],
)
def test_numbers_are_read_as_people_write_them(raw: str, region: str, e164: str) -> None:
    assert parse_phone(raw, region) == e164


@pytest.mark.parametrize(
    ("raw", "region", "sentence"),
    [
        ("12", "US", "'12' is not a phone number that can exist in US; write it with + and country code"),
        ("5550123", "US", "'5550123' lacks its area code; write it with + and country code"),
        ("0171234567890", "US", "'0171234567890' is not a phone number that can exist in US; "),
        ("+49170123456789012", "US", "is not a phone number that can exist in its country"),
        ("+999123456789", "US", "'+999123456789' begins with a country code that does not exist"),
        (
            "8105550123 x123",
            "US",
            "'8105550123 x123' has the extension 123, which messages cannot reach; leave it out",
        ),
        ("tel:+1-810-555-0123;ext=4", "US", "has the extension 4,"),
        ("1.81055E+10", "US", "'1.81055E+10' has lost its digits to a spreadsheet; format that column as text"),
        ("'1,81055e10", "DE", "has lost its digits to a spreadsheet"),
        ("+49 151 XXXXX", "DE", "'+49 151 XXXXX' hides some of its digits; write all of them"),
        ("+1 810 555 xxxx", "US", "hides some of its digits"),
        ("+1 810 *** 0123", "US", "hides some of its digits"),
        ("+491512345XXX", "US", "hides some of its digits"),
        ("", "US", "is empty; write a phone number"),
        (" \t", "US", "is empty; write a phone number"),
        ("none", "US", "'none' is not a phone number; write one with + and country code"),
        ("8105550123, 8105550124", "US", "is not a phone number"),
        ("9" * 500, "US", "'" + "9" * 40 + "…' is not a phone number"),
    ],
)
def test_a_number_that_cannot_be_dialled_is_refused_with_what_to_change(raw: str, region: str, sentence: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_phone(raw, region)
    assert caught.value.field == "phone"
    assert sentence in caught.value.message


@pytest.mark.parametrize("region", ["XX", "", "Germany", "+49"])
def test_an_unknown_region_is_named_and_not_the_number(region: str) -> None:
    with pytest.raises(InvalidInput, match="is not a country code; write two letters") as caught:
        parse_phone("+18105550123", region)
    assert caught.value.field == "region"


@settings(deadline=None)
@given(raw=st.text() | st.text("0123456789+-() .xeE'/;="), region=st.sampled_from(["US", "DE", "IT", "GB", "BR"]))
def test_whatever_is_written_becomes_e164_or_one_sentence(raw: str, region: str) -> None:
    try:
        phone = parse_phone(raw, region)
    except InvalidInput as error:
        field = error.field
    else:
        field = "phone"
        assert re.fullmatch(r"\+[1-9][0-9]{5,14}", phone)
        assert parse_phone(phone, "US") == phone
    assert field == "phone"


@settings(max_examples=examples(2500), deadline=None)
@given(st.sampled_from(sorted(COUNTRY_CODE_TO_REGION_CODE)), st.from_regex(r"[0-9]{3,14}", fullmatch=True))
def test_a_number_written_as_e164_is_read_as_the_library_reads_it(code: int, digits: str) -> None:
    def read() -> str:
        try:
            return parse_phone(f"+{code}{digits}", "DE")
        except InvalidInput as error:
            return str(error)

    at_once = read()
    with patch.object(phones, "_stays", lambda e164: False):
        assert at_once == read()


@pytest.mark.parametrize("written", ["33612345678", "34612345678"])
def test_a_foreign_mobile_without_plus_is_no_italian_voicemail(written: str) -> None:
    assert parse_phone(written, "IT") == f"+{written}"
