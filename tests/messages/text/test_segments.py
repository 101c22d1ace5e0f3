from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.messages.text.segments import Culprit, explain, measure, plain, too_long_for_sms

DEFAULT_ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"
GSM = DEFAULT_ALPHABET + EXTENSION
TEXTS = st.text() | st.text(GSM) | st.text("a€’😀ê", max_size=200)


def test_the_default_alphabet_has_its_127_characters_of_one_septet() -> None:
    assert len(set(DEFAULT_ALPHABET)) == 127
    measured = measure(DEFAULT_ALPHABET)
    assert (measured.encoding, measured.units, measured.culprits) == ("GSM-7", 127, ())


@pytest.mark.parametrize("character", EXTENSION)
def test_a_character_of_the_extension_table_takes_two_septets(character: str) -> None:
    measured = measure(character)
    assert (measured.encoding, measured.units) == ("GSM-7", 2)


@every_case(
    ("text", "encoding", "segments", "units", "left"),
    [
        pytest.param("", "GSM-7", 0, 0, 160, id="nothing"),
        pytest.param("a", "GSM-7", 1, 1, 159, id="one letter"),
        pytest.param("a" * 160, "GSM-7", 1, 160, 0, id="a full SMS"),
        pytest.param("a" * 161, "GSM-7", 2, 161, 145, id="one more, with a header in both"),
        pytest.param("a" * 306, "GSM-7", 2, 306, 0, id="two full segments"),
        pytest.param("a" * 307, "GSM-7", 3, 307, 152, id="a third one"),
        pytest.param("€" * 80, "GSM-7", 1, 160, 0, id="80 of two septets"),
        pytest.param("€" * 81, "GSM-7", 2, 162, 143, id="76 fit into 153 septets, one septet stays empty"),
        pytest.param("€" * 152, "GSM-7", 2, 304, 1, id="two segments one septet short"),
        pytest.param("€" * 153, "GSM-7", 3, 306, 151, id="would fit into 306 if it might be split"),
        pytest.param(
            "a" * 152 + "€" + "a" * 10, "GSM-7", 2, 164, 141, id="an escape is not split from its character"
        ),
        pytest.param("ж" * 70, "UCS-2", 1, 70, 0, id="a full SMS in UCS-2"),
        pytest.param("ж" * 71, "UCS-2", 2, 71, 63, id="67 in each of several"),
        pytest.param("ж" * 134, "UCS-2", 2, 134, 0, id="two full segments in UCS-2"),
        pytest.param("😀" * 35, "UCS-2", 1, 70, 0, id="35 emoji"),
        pytest.param("😀" * 36, "UCS-2", 2, 72, 61, id="33 emoji fit into 67 units"),
        pytest.param("a" * 66 + "😀" + "a" * 10, "UCS-2", 2, 78, 55, id="a surrogate pair is not split"),
        pytest.param("€’", "UCS-2", 1, 2, 68, id="the extension takes one unit in UCS-2"),
        pytest.param("\ud800", "UCS-2", 1, 1, 69, id="half a surrogate pair"),
    ],
)
def test_a_text_is_measured_as_it_is_sent(text: str, encoding: str, segments: int, units: int, left: int) -> None:
    measured = measure(text)
    assert (measured.encoding, measured.segments, measured.units, measured.left) == (encoding, segments, units, left)


@every_case(
    ("character", "rewrite"),
    [
        ("’", "'"), ("‘", "'"), ("`", "'"), ("“", '"'), ("”", '"'), ("„", '"'), ("«", '"'), ("–", "-"), ("—", "-"),
        ("\u2011", "-"), ("…", "..."), ("•", "*"), ("·", "."), ("\u00a0", " "), ("\u202f", " "), ("\t", " "),
        ("\u200b", ""), ("\u2028", "\n"), ("ê", "e"), ("ç", "c"), ("á", "a"), ("Á", "A"), ("ő", "o"), ("ł", "l"),
        ("œ", "oe"), ("ﬁ", "fi"), ("™", "TM"), ("½", "1/2"), ("²", "2"), ("×", "x"), ("→", "->"), ("≠", "!="),
        ("≮", ""), ("₹", "Rs"), ("Ａ", "A"), ("\u2126", "Ω"), ("\u212b", "Å"), ("🎉", ""), ("\ufe0f", ""),
        ("\u0301", ""), ("\ufb2a", ""), ("ж", ""), ("世", ""), ("α", ""), ("\x07", ""), ("\x1b", ""),
    ],
)  # fmt: skip
def test_a_character_that_gsm_lacks_has_a_plain_rewrite(character: str, rewrite: str) -> None:
    (culprit,) = measure(character).culprits
    assert culprit.rewrite == rewrite
    assert plain(f"a{character}b") == plain(f"a{rewrite}b") or character == "\u0301"


def test_each_culprit_is_named_once_with_its_first_position() -> None:
    assert measure("It’s on – that’s it\u0007").culprits == (
        Culprit("’", "RIGHT SINGLE QUOTATION MARK", 2, "'"),
        Culprit("–", "EN DASH", 8, "-"),
        Culprit("\u0007", "U+0007", 19, ""),
    )


def test_a_letter_and_its_accent_apart_become_the_letter_that_gsm_has() -> None:
    assert plain("cafe\u0301") == "café"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a" * 100, "1 SMS, with room for 60 more characters of the GSM alphabet."),
        ("a" * 159, "1 SMS, with room for 1 more character of the GSM alphabet."),
        (
            "’" + "a" * 140,
            "3 SMS instead of 1, because of ’ (RIGHT SINGLE QUOTATION MARK); write ' instead.",
        ),
        ("a" * 150 + "🎉", "3 SMS instead of 1, because of 🎉 (PARTY POPPER); leave it out."),
        (
            "It’s on 🎉",
            "1 SMS of at most 70 characters instead of 160, because of ’ (RIGHT SINGLE QUOTATION MARK) and 🎉 "
            "(PARTY POPPER); write ' for ’ and leave out 🎉.",
        ),
        (
            "a\u00a0b",
            "1 SMS of at most 70 characters instead of 160, because of (NO-BREAK SPACE); write a space instead.",
        ),
        (
            "’–…•" + "a" * 100,
            "2 SMS instead of 1, because of ’ (RIGHT SINGLE QUOTATION MARK), – (EN DASH), … (HORIZONTAL ELLIPSIS) "
            "and 1 more; write ' for ’, write - for –, write ... for … and change the others likewise.",
        ),
        (
            "Hi 世",
            "1 SMS of at most 70 characters instead of 160, because of 世 (CJK UNIFIED IDEOGRAPH-4E16); the GSM "
            "alphabet has nothing like it.",
        ),
    ],
)
def test_what_a_text_takes_is_said_in_one_sentence(text: str, sentence: str) -> None:
    assert explain(measure(text)) == sentence


@pytest.mark.parametrize(
    ("text", "most", "sentence"),
    [
        ("a" * 160, 1, None),
        ("a" * 306, 2, None),
        ("", 0, None),
        ("a" * 161, 1, "needs 2 SMS and may have 1: it takes 161 characters, and there is room for 160; shorten it"),
        (
            "ж" * 135,
            2,
            "needs 3 SMS and may have 2: it takes 135 UTF-16 units, and there is room for 134; shorten it",
        ),
        (
            "’" + "a" * 100,
            1,
            "needs 2 SMS and may have 1: it takes 101 UTF-16 units, and there is room for 70; it would fit without ’ "
            "(RIGHT SINGLE QUOTATION MARK): write ' instead",
        ),
    ],
)
def test_a_text_that_is_too_long_is_told_what_to_change(text: str, most: int, sentence: str | None) -> None:
    assert too_long_for_sms(text, most) == sentence


@settings(max_examples=150, deadline=None)
@given(text=TEXTS)
def test_the_plain_form_of_any_text_is_gsm_and_needs_no_more_rewriting(text: str) -> None:
    written = plain(text)
    assert set(written) <= set(GSM)
    assert plain(written) == written
    assert measure(text).plain_segments == measure(written).segments


@given(text=st.text(GSM))
def test_a_text_of_gsm_stays_as_it_is(text: str) -> None:
    assert plain(text) == text
    assert measure(text).culprits == ()


@settings(max_examples=150, deadline=None)
@given(text=st.text("a€’😀ж", max_size=400), more=st.text("a€’😀ж", max_size=80))
def test_a_longer_text_never_needs_fewer_segments(text: str, more: str) -> None:
    assert measure(text).segments <= measure(text + more).segments


@settings(max_examples=150, deadline=None)
@given(text=TEXTS)
def test_the_units_fit_into_the_segments_with_at_most_one_lost_in_each(text: str) -> None:
    measured = measure(text)
    single, part = (160, 153) if measured.encoding == "GSM-7" else (70, 67)
    room = part * measured.segments if measured.segments > 1 else single
    lost = room - measured.units - measured.left
    assert 0 <= lost <= max(measured.segments - 1, 0)
    assert 0 <= measured.left <= single
