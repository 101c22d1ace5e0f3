from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.messages.inbound.ratings import rating_of

LONG = 10_000
FRAGMENTS = ["8", "9", "ten", "of", "10", "/", "or", "a", ",", ".", "out"]


@every_case(
    ("text", "rating"),
    [
        ("8", 8),
        ("8/10", 8),
        ("an 8!", 8),
        ("eight", 8),
        ("Eight!", 8),
        ("9 out of 10", 9),
        ("I'd give it a seven", 7),
        ("10!!!", 10),
        ("ten", 10),
        ("8.5", 9),
        ("8,5", 9),
        ("8.4", 8),
        ("9.5/10", 10),
        ("8½", 9),
        ("７", 7),
        ("8️⃣", 8),
        ("🔟", 10),
        ("⑧", 8),
        ("8, loved the speaker", 8),
        ("8 - the room was cold", 8),
        ("8. Great talk", 8),
        ("8! wow", 8),
        ("8 👍", 8),
        ("8👍", 8),
        ("👍 8", 8),
        ("(8)", 8),
        ('"8"', 8),
        (" 8 \n", 8),
        ("8\nloved it", 8),
        ("8 loved it", 8),
        ("8 because the room was cold", 8),
        ("8 for me", 8),
        ("I'd say 8", 8),
        ("I would rate it 9", 9),
        ("Rating: 9", 9),
        ("my rating is 7", 7),
        ("I'd give the event a 9", 9),
        ("It was a 9", 9),
        ("it's a solid 8", 8),
        ("it’s a 10 from me", 10),
        ("Great event! 9", 9),
        ("loved it, 10!", 10),
        ("Thanks - 8", 8),
        ("Loved it. 10", 10),
        ("nine out of ten", 9),
        ("10/10", 10),
        ("10/10 would come again", 10),
        ("10/10 💯", 10),
        ("definitely a 10", 10),
        ("8 out of 10 for the speaker", 8),
        ("huit", 8),
        ("ocho", 8),
        ("acht", 8),
        ("otto", 8),
        ("oito", 8),
        ("neuf sur dix", 9),
        ("8 sur 10", 8),
        ("8 von 10", 8),
        ("nueve de diez", 9),
        ("eight, the food was great", 8),
        ("8+", 8),
        ("8 :)", 8),
        ("8 <3", 8),
        ("one", 1),
        ("1", 1),
        ("01", 1),
        ("I'd give you guys a 9", 9),
        ("8 of 10", 8),
        ("8 / 10", 8),
        ("8,the room was cold", 8),
        ("8, 8!", 8),
        ("8/10, an 8", 8),
        ("٨", 8),
        ("a 9", 9),
        ("score: 6", 6),
        ("8 points", 8),
        ("10 because everyone was so kind", 10),
        ("Solid 8", 8),
        ("8. See you at 3pm", 8),
        ("8, the 2 talks were great", 8),
        ("I give it a 9, best event of 2026", 9),
        ("8 - great night, see you at 7", 8),
        ("about a 7", 7),
        ("ten!!! 🎉🎉", 10),
        ("4, too loud", 4),
        ("The food was bad. 4", 4),
        ("10 out of 10!!!", 10),
        ("I’d give it an 8.5", 9),
        ("8.0", 8),
        ("10.0", 10),
        ("3", 3),
        ("2.", 2),
        ("rate 8", 8),
        ("I rated it 5/10", 5),
    ],
)
def test_a_rating_is_read_as_people_text_it(text: str, rating: int) -> None:
    assert rating_of(text) == rating


@every_case(
    "text",
    [
        "0",
        "11",
        "0/10",
        "11/10",
        "10.5",
        "0.5",
        "100",
        "see you at 3pm",
        "2 of us will be late",
        "call me 555-0100",
        "555-0100",
        "2026",
        "room 5",
        "3 questions: where, when, how?",
        "one moment",
        "one moment please",
        "⭐⭐⭐",
        "5 stars",
        "4/5",
        "8/5",
        "7 or 8",
        "7-8",
        "8, maybe 9",
        "8 or maybe a 9",
        "between 7 and 8",
        "",
        "   ",
        "great",
        "8:30",
        "8pm",
        "8%",
        "$8",
        "8€",
        "3rd",
        "8/10/2026",
        "see you on 8/10",
        "9 out of 10 people were late",
        "1. cold room 2. bad food",
        "-5",
        "+1 555 010 0100",
        "No. 5",
        "I was in room 5, loved it",
        "the 7 speakers were great",
        "2 tickets please for Bob",
        "meet at table 4",
        "5 minutes",
        "I'll be there in 5",
        "give me 5 minutes",
        "one more thing",
        "that was the one",
        "8am works",
        "10 people came",
        "1,000",
        "1 sec",
        "8.50",
        "8.5.2026",
        "we are 3",
        "half past 8",
        "my kids are 4 and 6",
        "9/11",
        "8 speaker, 5 food",
        "9/10 for the speaker, 5/10 for the food",
        "Dinner, 7?",
        "I'm 8 minutes away",
        "8th floor",
        "v2",
        "100%",
        "3.14159",
        "one day I'll be back",
        "1 in 10",
        "2 sessions were great",
        "someone",
        "often",
        "8 9",
        "the rest",
        "dinner at 8",
        "-8",
        "½",
        "⅓",
        "10²",
        "Can I bring 2?",
        "eleven",
        "at 8, see you",
        "it's 8 already",
    ],
)
def test_a_number_that_rates_nothing_is_no_rating(text: str) -> None:
    assert rating_of(text) is None


@every_case("rating", range(1, 11))
@every_case("remark", ["{}", "{}/10", "{} out of 10", "{}!", "{}, loved it", "I'd give it a {}", "Great! {}"])
def test_every_rating_can_be_given_in_every_form(rating: int, remark: str) -> None:
    assert rating_of(remark.format(rating)) == rating


@settings(max_examples=300, deadline=None)
@given(text=st.text() | st.text("0123456789/.,-½⅓８٨ an\n") | st.lists(st.sampled_from(FRAGMENTS)).map(" ".join))
def test_any_text_gives_one_to_ten_or_nothing(text: str) -> None:
    rating = rating_of(text)
    assert rating is None or 1 <= rating <= 10


@pytest.mark.parametrize("unit", ["8 ", "8", "one ", "rate it ", "8 or ", "...", "👍", "!8", "1. ", "8 out of "])
def test_a_text_of_ten_thousand_characters_is_read_in_a_moment(unit: str) -> None:
    text = (unit * LONG)[:LONG]
    began = time.process_time()
    rating_of(text)
    assert time.process_time() - began < 1.0
