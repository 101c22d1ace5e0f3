"""Whatever an answer invents keeps it from being sent, and the reason names it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ai.briefs import CALL, ESTIMATE, EVENT, PLAIN, ROUTINE, SHOP
from support.cases import every_case
from tidings.ai.base import Brief
from tidings.ai.guard import check

ROOF = "Hi Ada, any questions about the roof estimate of $1,200 we sent on Oct 17?"
BOB = "Hi Ada, did you talk to Bob about the partner programme?"
MEET = "https://meet.example/tidings-42?room=B12"
CALLED = f"Hello Jean-Luc, your call with Ms. O'Brien is on Friday, October 17 at 3 PM. {MEET}"

INVENTED = [
    # numbers
    (PLAIN, BOB + " It takes 5 people.", "5"),
    (PLAIN, BOB + " It takes five people.", "five"),
    (PLAIN, BOB + " There are a hundred partners.", "hundred"),
    (PLAIN, BOB + " There are twenty-five partners.", "twenty-five"),
    (PLAIN, BOB + " We have several partners.", "several"),
    (PLAIN, BOB + " A dozen have joined.", "dozen"),
    (PLAIN, BOB + " It is your third reminder.", "third"),
    (PLAIN, BOB + " You're the 1st to hear of it.", "1st"),
    (ESTIMATE, ROOF + " It has 1,201 tiles.", "1,201"),
    (ESTIMATE, ROOF + " It is in folder A7.", "A7"),
    (CALL, CALLED + " It takes 30 days.", "30 days"),
    (CALL, CALLED + " It takes an hour.", "an hour"),
    (CALL, CALLED + " It starts in a minute.", "a minute"),
    (SHOP, SHOP.template.replace("2 iPhone", "3 iPhone"), "3"),
    (SHOP, SHOP.template.replace("FALL20", "FALL30"), "FALL30"),
    (ROUTINE, ROUTINE.template.replace("2nd", "3rd"), "3rd"),
    (ROUTINE, ROUTINE.template.replace("twelve weeks", "twelve days"), "twelve days"),
    # prices and promises
    (ESTIMATE, ROOF.replace("1,200", "1,020"), "$1,020"),
    (ESTIMATE, ROOF.replace("$1,200", "€1,200"), "€1,200"),
    (ESTIMATE, ROOF.replace("$1,200", "CAD 1,200"), "CAD 1,200"),
    (ESTIMATE, ROOF.replace("$1,200", "twelve thousand dollars"), "twelve thousand dollars"),
    (ESTIMATE, ROOF.replace("$1,200", "$1.2"), "$1.2"),
    (ESTIMATE, ROOF.replace("$1,200", "$1,200k"), "$1,200k"),
    (ESTIMATE, ROOF + " It costs 90 bucks.", "90 bucks"),
    (ESTIMATE, ROOF + " It's free.", "free"),
    (ESTIMATE, ROOF + " We can offer a discount.", "discount"),
    (ESTIMATE, ROOF + " It is guaranteed.", "guaranteed"),
    (ESTIMATE, ROOF + " It expires soon.", "expires"),
    (SHOP, SHOP.template.replace("20%", "25%"), "25%"),
    (SHOP, SHOP.template.replace("20%", "half"), "half"),
    (SHOP, SHOP.template + " You save 2 percent.", "2 percent"),
    (PLAIN, BOB + " There's 2% in it.", "2%"),
    # links, addresses, phone numbers
    (PLAIN, BOB + " See https://partners.example/ada", "https://partners.example/ada"),
    (PLAIN, BOB + " See partners.example.", "partners.example"),
    (PLAIN, BOB + " See www.partners.example/x.", "www.partners.example/x"),
    (PLAIN, BOB + " Write to bob@hopper.example.", "bob@hopper.example"),
    (PLAIN, BOB + " Message @bobhopper.", "@bobhopper"),
    (PLAIN, BOB + " See hopper dot com.", "hopper dot com"),
    (PLAIN, BOB + " See 10.0.0.1/x.", "10.0.0.1/x"),
    (CALL, CALLED.replace("B12", "B13"), "https://meet.example/tidings-42?room=B13"),
    (CALL, CALLED.replace("?room=B12", ""), "https://meet.example/tidings-42"),
    (CALL, CALLED.replace("meet.example", "meet.example.evil.example"), "meet.example.evil.example"),
    (CALL, CALLED.replace("meet.example", "meet.ехample"), "ехample"),
    (SHOP, SHOP.template.replace("(810) 555-0123", "(810) 555-0124"), "(810) 555-0124"),
    (SHOP, SHOP.template + " Or +44 20 7946 0958.", "+44 20 7946 0958"),
    # dates, times, days
    (ESTIMATE, ROOF.replace("Oct 17", "Oct 18"), "Oct 18"),
    (ESTIMATE, ROOF.replace("Oct 17", "17 November"), "17 November"),
    (ESTIMATE, ROOF.replace("Oct 17", "October 17, 2026"), "October 17, 2026"),
    (ESTIMATE, ROOF.replace("Oct 17", "10/11/2025"), "10/11/2025"),
    (ESTIMATE, ROOF.replace("Oct 17", "2025-10-07"), "2025-10-07"),
    (ESTIMATE, ROOF.replace("Oct 17", "the eighteenth of October"), "eighteenth of October"),
    (ESTIMATE, ROOF.replace("Oct 17", "Oct 17-19"), "Oct 17-19"),
    (ESTIMATE, ROOF.replace("on Oct 17", "in March"), "March"),
    (ESTIMATE, ROOF.replace("on Oct 17", "on Friday"), "Friday"),
    (ESTIMATE, ROOF + " I'll call on fri.", "fri"),
    (ESTIMATE, ROOF + " Call me today.", "today"),
    (ESTIMATE, ROOF + " Merry christmas!", "christmas"),
    (ESTIMATE, ROOF + " Good morning!", "morning"),
    (ESTIMATE, ROOF + " We start next week.", "next week"),
    (ESTIMATE, ROOF + " That was two weeks ago.", "two weeks"),
    (CALL, CALLED.replace("3 PM", "3 AM"), "3 AM"),
    (CALL, CALLED.replace("3 PM", "3:30 PM"), "3:30 PM"),
    (CALL, CALLED.replace("3 PM", "quarter past three"), "quarter past three"),
    (CALL, CALLED.replace("3 PM", "noon"), "noon"),
    (CALL, CALLED.replace("3 PM", "13:00"), "13:00"),
    (CALL, CALLED.replace("3 PM", "2-3 PM"), "2"),
    (CALL, CALLED.replace("on Friday", "next Friday"), "next Friday"),
    (CALL, CALLED.replace("Friday", "Thursday"), "Thursday"),
    (EVENT, EVENT.template.replace("Saturday", "Sat and Sun"), "Sun"),
    (SHOP, SHOP.template.replace("tomorrow", "tonight"), "tonight"),
    # names
    (PLAIN, BOB.replace("Ada", "Eve"), "Eve"),
    (PLAIN, BOB.replace("to Bob", "to Bob and Alice"), "Alice"),
    (PLAIN, BOB + " Best, Charles", "Charles"),
    (PLAIN, BOB + " Will from our team can help.", "Will"),
    (PLAIN, BOB + " Ask Hope for help.", "Hope"),
    (PLAIN, BOB + " It is an ACME programme.", "ACME"),
    (PLAIN, BOB.replace("Ada", "Ada-Marie"), "Ada-Marie"),
    (PLAIN, BOB.replace("to Bob", "to René"), "René"),
    (PLAIN, BOB.replace("to Bob", "to Ada Hopper"), "Ada Hopper"),
    (PLAIN, BOB + " It runs on eBay.", "eBay"),
    (PLAIN, BOB + " We're in Paris.", "Paris"),
    (EVENT, EVENT.template.replace("Hall B", "Hall A"), "A"),
    (EVENT, EVENT.template.replace("John", "Jon"), "Jon"),
    (CALL, CALLED.replace("O'Brien", "O'Connor"), "O'Connor"),
    # signs
    (PLAIN, BOB + " \N{PARTY POPPER}", "\N{PARTY POPPER}"),
    (PLAIN, BOB + " Hasta mañana.", "mañana"),
    (PLAIN, BOB.replace("Bob", "B\u200bob"), "ZERO WIDTH SPACE"),
    (PLAIN, BOB + " Room ③.", "③"),
]  # fmt: skip


@every_case(("brief", "answer", "piece"), INVENTED)
def test_what_the_facts_do_not_have_is_refused_and_named(brief: Brief, answer: str, piece: str) -> None:
    reason = check(answer, brief)

    assert reason is not None
    assert f"'{piece}'" in reason or (piece in reason and "://" in reason)
    assert reason.endswith(", which is not among the facts")


@pytest.mark.parametrize(
    ("brief", "answer", "name"),
    [
        pytest.param(PLAIN, "Bob, did you talk to Ada?", "Bob", id="without a greeting word, of the template"),
        pytest.param(PLAIN, BOB.replace("Ada", "eve"), "eve", id="a name without its capital"),
        pytest.param(PLAIN, BOB.replace("Ada", "Bob"), "Bob", id="somebody of whom the template speaks"),
        pytest.param(PLAIN, "Dear Hopper, did you talk to Bob?", "Hopper", id="a name that is no first name"),
        pytest.param(CALL, CALLED.replace("Hello Jean-Luc", "Dear Ms. O'Brien"), "Ms", id="the other party"),
        pytest.param(CALL, CALLED.replace("Hello Jean-Luc", "O'Brien"), "O'Brien", id="without a greeting word"),
        pytest.param(SHOP, SHOP.template.replace("Hi Zoë", "Welcome back, Case"), "Case", id="a thing"),
    ],
)
def test_nobody_else_is_greeted(brief: Brief, answer: str, name: str) -> None:
    if "Hopper" in name:
        brief = replace(brief, template="Did you talk to Bob Hopper?")
    assert check(answer, brief) == f"it greets '{name}', who is not the person that the message is for"


@every_case(
    ("answer", "piece"),
    [
        ("", "empty"),
        (" \n ", "empty"),
        ("Hi [Name], did you talk to Bob?", "[Name]"),
        ("Hi {{ first_name }}, did you talk to Bob?", "{{ first_name }}"),
        ("Hi {name}, did you talk to Bob?", "{name}"),
        ("Hi <name>, did you talk to Bob?", "<name>"),
        ("Hi XXX, did you talk to Bob?", "XXX"),
        ("Hi ____, did you talk to Bob?", "____"),
        ("Hi undefined, did you talk to Bob?", "undefined"),
        ("Hi Ada, did you talk to **Bob**?", "**"),
        ("# Hi Ada\nDid you talk to Bob?", "#"),
        ("Hi Ada:\n- did you talk to Bob?", "-"),
        ("Hi Ada, did you talk to `Bob`?", "`"),
        ("Hi Ada, did you *really* talk to Bob?", "*really*"),
        ("Hi Ada, see [the programme](https://x.example).", "[the programme]"),
        ("As an AI, I did not talk to Bob.", "As an AI"),
        ("I'm an assistant for the partner programme.", "I'm an assistant"),
        ("I'm sorry, but I have no facts about Bob.", "I'm sorry, but"),
        ("I cannot write that.", "I cannot"),
        ("Sure, did you talk to Bob?", "Sure,"),
        ("Subject: the partner programme", "Subject:"),
        ("Here's a friendly version: did you talk to Bob?", "Here's a friendly version"),
        ("Did you talk to Bob? This fits the character limit.", "character limit"),
        ("By the provided facts, did you talk to Bob?", "provided facts"),
        ("As the template says, did you talk to Bob?", "the template"),
        ("Did you talk to Bob? Let me know if you'd like any changes.", "Let me know if you'd like any changes"),
        ("Hast du mit Bob gesprochen wegen Ada?", "Hast du mit Bob"),
        ("did you talk to bob and alice about the programme?", "without capital letters"),
        ("a" * 4001, "4,001 characters"),
    ],
)
def test_what_is_no_message_is_refused(answer: str, piece: str) -> None:
    reason = check(answer, PLAIN)

    assert reason is not None
    assert piece in reason


@pytest.mark.parametrize(
    ("brief", "answer", "piece"),
    [
        (ESTIMATE, "Hi Ada, any questions about the roof estimate we sent on Oct 17?", "$1,200"),
        (ESTIMATE, "Hi Ada, any questions about the roof estimate of $1,200?", "Oct 17"),
        (CALL, CALLED.replace(MEET, ""), MEET),
        (CALL, CALLED.replace(" at 3 PM", ""), "3:00 PM"),
        (SHOP, SHOP.template.replace(" or call (810) 555-0123", ""), "(810) 555-0123"),
        (SHOP, SHOP.template.replace("for 20% off ", ""), "20%"),
        (ROUTINE, "Time for your 2nd furnace check, due in twelve weeks.", "care@heat.example"),
        (EVENT, EVENT.template.replace(" Reply STOP to opt out.", ""), "STOP"),
    ],
)
def test_what_the_template_tells_is_not_left_out(brief: Brief, answer: str, piece: str) -> None:
    assert check(answer, brief) == f"it leaves out '{piece}'"


def test_a_text_too_long_for_the_channel_is_refused_with_the_channels_sentence() -> None:
    brief = replace(PLAIN, too_long=lambda text: "it takes 2 SMS" if len(text) > 70 else None)

    assert check(BOB, brief) is None
    assert check(BOB + " I am here to help if you need me.", brief) == "it takes 2 SMS"
