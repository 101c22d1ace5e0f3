"""Answers that only restate the facts are sent: the guard is of use only while it lets them pass."""

from __future__ import annotations

import pytest

from ai.briefs import CALL, ESTIMATE, EVENT, PLAIN, ROUTINE, SHOP
from support.cases import every_case
from tidings.ai.base import Brief
from tidings.ai.guard import check, clean

GOOD = [
    (ESTIMATE, "Hi Ada, have you had a chance to look over the $1,200 roof estimate from October 17?"),
    (
        ESTIMATE,
        "Hi Ada! Just following up on your roof estimate of $1,200.00, sent on 17 October. Any questions for us?",
    ),
    (
        ESTIMATE,
        "Hello Ada, I wanted to check whether you have questions about the 1,200 dollar estimate of Oct 17th.",
    ),
    (
        ESTIMATE,
        "Hi Ada, we sent you a roof estimate on 10/17/2025 (twelve hundred dollars). Can we help with anything?",
    ),
    (
        ESTIMATE,
        "Hey Ada, it's Analytical Roofing. Any thoughts on the USD 1,200 estimate we sent on 2025-10-17?",
    ),
    (
        ESTIMATE,
        "Hi Ada, you asked about slate tiles. Our roof estimate from Oct. 17 stands at $1200. May I answer anything?",
    ),
    (
        ESTIMATE,
        "Hi Ada — the estimate we sent on the 17th of October is for $1,200. I’m happy to answer any questions…",
    ),
    (
        CALL,
        "Hello Jean-Luc, your 30-minute call with Ms. O'Brien is on Friday, Oct 17 at 3pm. Join here: "
        "https://meet.example/tidings-42?room=B12",
    ),
    (
        CALL,
        "Hello Jean-Luc, Siobhán O’Brien from Tidings will call you on October 17 at 15:00. Please allow "
        "thirty minutes. The link is https://meet.example/tidings-42?room=B12.",
    ),
    (
        CALL,
        "Jean-Luc, don't forget: Friday, 17 October, 3 p.m., 30 minutes with Ms. O'Brien. "
        "https://meet.example/tidings-42?room=B12",
    ),
    (
        CALL,
        "Hello Jean-Luc! You're meeting Ms. O'Brien at 3:00 PM on Friday, October 17th, 2025. It'll take "
        "30 minutes.\n\nhttps://meet.example/tidings-42?room=B12",
    ),
    (
        CALL,
        "Hello Jean-Luc, here is a quick reminder that Ms. O'Brien's call is on Friday at 3 PM for 30 "
        "minutes: https://meet.example/tidings-42?room=B12",
    ),
    (
        EVENT,
        "Hi Grace, John Doe speaks about 'AI in Business' at 2:30 PM on Saturday in Hall B. With your "
        "work in slate roofing it may be of use. Reply STOP to opt out.",
    ),
    (
        EVENT,
        "As you work with slate, you might like John Doe's talk AI in Business: Saturday, 14:30, Hall B. "
        "Reply STOP to opt out.",
    ),
    (
        EVENT,
        "Grace, on Saturday at half past two John Doe gives his talk “AI in Business” in Hall B. We "
        "thought of you because you work with slate. Reply STOP to opt out.",
    ),
    (
        EVENT,
        "Hello Grace! If you are at the event on Saturday, you may like AI in Business with John Doe in "
        "Hall B (14:30). Reply STOP to opt out.",
    ),
    (
        SHOP,
        "Hi Zoë! The two iPhone cases are still in your cart. FALL20 takes 20% off until tomorrow: "
        "https://shop.example/c/9. Or call us on 810-555-0123.",
    ),
    (
        SHOP,
        "Hi Zoë, your 2 iPhone cases are waiting. With code FALL20 you get 20 percent off until tomorrow."
        " https://shop.example/c/9 or +1 810 555 0123",
    ),
    (
        SHOP,
        "Hi Zoë, would you still like the two iPhone cases? Your code FALL20 (twenty percent off) works "
        "until tomorrow at https://shop.example/c/9, and we're on (810) 555-0123 if you need us.",
    ),
    (
        SHOP,
        "Hi Zoë! You left two cases in your cart. Use FALL20 for 20% off until tomorrow: "
        "https://shop.example/c/9 or call +18105550123.",
    ),
    (
        ROUTINE,
        "Hi Bo, your second furnace check is due in 12 weeks. Write to care@heat.example to choose a day "
        "that suits you.",
    ),
    (
        ROUTINE,
        "Hello Bo! It's nearly time for the 2nd check of your furnace, due in twelve weeks. You can "
        "choose a day by writing to care@heat.example.",
    ),
    (
        ROUTINE,
        "Your furnace is due for its second check on March 2. Would you like to choose a day? Write to "
        "care@heat.example.",
    ),
    (
        ROUTINE,
        "Hi there, one quick note: your furnace check (the 2nd one) is due in 12 weeks. Just write to "
        "care@heat.example.",
    ),
    (PLAIN, "Hi Ada, did you get to talk to Bob about the partner programme?"),
    (
        PLAIN,
        "Hi Ada, have you had the chance to speak with Bob Hopper at Hopper Inc about the partner programme yet?",
    ),
    (
        PLAIN,
        "Have you talked to Bob about the partner programme? If not, no worries. Let me know how I can help.",
    ),
    (
        PLAIN,
        "Did you manage to catch Bob Hopper? I'd love to hear what he thinks of the partner programme.",
    ),
    (PLAIN, "Feel free to talk to Bob about the partner programme whenever you have a minute."),
    (PLAIN, "Hope you're well, Ada. Will you talk to Bob soon about the partner programme?"),
]


@every_case(("brief", "answer"), GOOD)
def test_a_natural_answer_that_only_restates_the_facts_is_sent(brief: Brief, answer: str) -> None:
    assert check(answer, brief) is None


@pytest.mark.parametrize("brief", [ESTIMATE, CALL, EVENT, SHOP, ROUTINE, PLAIN])
def test_the_template_itself_is_a_good_answer(brief: Brief) -> None:
    assert check(brief.template, brief) is None


@pytest.mark.parametrize(
    ("answer", "cleaned"),
    [
        ('"Hi Ada, any news?"', "Hi Ada, any news?"),
        ("  “Hi Ada, any news?”\n", "Hi Ada, any news?"),
        ("'Hi Ada'", "Hi Ada"),
        ("```\nHi Ada\n```", "Hi Ada"),
        ("```text\n\"Hi Ada\"\n```", "Hi Ada"),
        ("Hi  Ada,\r\n\r\n\r\n\r\nany \t news? ", "Hi Ada,\n\nany news?"),
        ("Hi\u00a0Ada", "Hi Ada"),
        ("Zoe\u0308", "Zoë"),
        ('"AI in Business" and "Slate"', '"AI in Business" and "Slate"'),
        ('"', '"'),
        ("", ""),
    ],
)  # fmt: skip
def test_what_models_put_around_a_message_is_taken_off(answer: str, cleaned: str) -> None:
    assert clean(answer) == cleaned


def test_an_introduction_is_refused_and_not_cut_off() -> None:
    answer = clean("Here is your message:\n\nHi Ada, did you talk to Bob about the partner programme?")

    assert check(answer, PLAIN) == "it speaks about its own making: 'Here is your message'"
