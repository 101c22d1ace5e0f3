"""Long texts in several messages, and texts that were cut off."""

from __future__ import annotations

import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.messages.text.parts import FENCE, length_of, parts_of
from tidings.messages.text.sentences import sentences, whole_sentences

LINK = "our page (https://acme.example/a.b?c=d.e)"


@every_case(
    ("text", "limit", "parts"),
    [
        ("Short.", 20, ["Short."]),
        ("x" * 20, 20, ["x" * 20]),
        ("One two three. Four five six. Seven.", 30, ["One two three.", "Four five six. Seven."]),
        (
            "One two three.\n\nFour five. Six seven eight nine.",
            32,
            ["One two three.", "Four five. Six seven eight nine."],
        ),
        (
            "Ask Dr. Smith or Mr. Jones about it. They know all of it.",
            48,
            ["Ask Dr. Smith or Mr. Jones about it.", "They know all of it."],
        ),
        (
            "Hours of the shop:\n- Mon 9 to 5\n- Tue 9 to 5\n- Wed 9 to 5",
            50,
            ["Hours of the shop:\n- Mon 9 to 5", "- Tue 9 to 5\n- Wed 9 to 5"],
        ),
        (f"We sell lamps. See {LINK} for all.", 56, ["We sell lamps.", f"See {LINK} for all."]),
        (f"Please do see {LINK} now", 48, ["Please do see our", "page (https://acme.example/a.b?c=d.e) now"]),
        (
            "We sell lamps. *All of them are new.* Come and see them now.",
            40,
            ["We sell lamps.", "*All of them are new.*", "Come and see them now."],
        ),
        ("Please call us at +49 30 1234 5678 today", 38, ["Please call us at", "+49 30 1234 5678 today"]),
        (
            "今天开放。明天关闭。后天我们再见。大后天也开放。",
            20,
            ["今天开放。明天关闭。", "后天我们再见。大后天也开放。"],
        ),
        (
            f"Run\n{FENCE}\nline one\nline two\nline three\n{FENCE}\nDone.",
            36,
            [f"Run\n{FENCE}\nline one\nline two\n{FENCE}", f"{FENCE}\nline three\n{FENCE}\nDone."],
        ),
        ("*" + "bold " * 6 + "end*", 30, ["bold bold bold bold", "bold bold end"]),
        ("x" * 30, 28, ["x" * 20, "x" * 10]),
        ("👨‍👩‍👧" * 4, 28, ["👨‍👩‍👧" * 2, "👨‍👩‍👧" * 2]),
    ],
)
def test_a_long_text_is_divided_where_a_reader_pauses(text: str, limit: int, parts: list[str]) -> None:
    assert parts_of(text, limit) == parts


WORDS = st.sampled_from(
    [
        "word",
        "Dr.",
        "end.",
        "really?",
        "\n",
        "\n\n",
        " ",
        " ",
        " ",
        "*bold words here*",
        "_it_",
        "`code`",
        "our page (https://a.example/x.y)",
        "https://a.example/long/path?a=b.",
        "👨‍👩‍👧",
        "é",
        "漢字。",
        "- item\n",
        "Hours:\n",
        "```\na b\nc d\n```\n",
        "+49 30 1234 567",
        "x" * 70,
    ]
)


@settings(deadline=None)
@given(st.lists(WORDS, max_size=60).map("".join), st.integers(30, 200))
def test_parts_fit_keep_everything_and_divide_no_character(text: str, limit: int) -> None:
    parts = parts_of(text, limit)
    assert all(length_of(part) <= limit for part in parts)

    def bare(of: str) -> str:
        return regex.sub(r"[\s`*_]", "", of)

    assert bare("".join(parts)) == bare(text)
    if len(parts) > 1:
        assert all(part.strip() for part in parts)
        assert all(part.count(FENCE) % 2 == 0 for part in parts if text.count(FENCE) % 2 == 0)
    clusters = [cluster for part in parts for cluster in regex.findall(r"\X", bare(part))]
    assert clusters == regex.findall(r"\X", bare(text))


@settings(deadline=None)
@given(st.text(max_size=300))
def test_sentences_are_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text


@every_case(
    ("text", "kept"),
    [
        ("We open at 9 am and close at 6 pm. On Sundays we are clo", "We open at 9 am and close at 6 pm."),
        (
            "We open at 9 am and close at 6 pm. On Sundays we are closed.",
            "We open at 9 am and close at 6 pm. On Sundays we are closed.",
        ),
        (
            "Ask for Dr. Smith at the front desk, please. Or for Dr. Jo",
            "Ask for Dr. Smith at the front desk, please.",
        ),
        (
            "The delivery takes two days in the whole country. It costs 4.",
            "The delivery takes two days in the whole country.",
        ),
        ("You may bring:\n- apples\n- pears\n- ban", "You may bring:\n- apples\n- pears"),
        ("1. Open the app and log in.\n2. Choose the menu.\n3.", "1. Open the app and log in.\n2. Choose the menu."),
        (
            "We are open on every day of the week.\n\n**Opening hours:**\n\n- Mo",
            "We are open on every day of the week.",
        ),
        ("We are open on every day of the week.\n\n## Prices\n\nThe la", "We are open on every day of the week."),
        ("**We are open on every day of the week. Pri", "We are open on every day of the week."),
        (
            "Please run this on your computer first:\n```\na = 1\nb = 2\nc =",
            "Please run this on your computer first:\n```\na = 1\nb = 2\n```",
        ),
        ("今天开放，明天关闭。后天我们", "今天开放，明天关闭。"),
        ("I was cut o", None),
        ("Yes. We are open from nine in the morning until six in the even", None),
        ("", None),
    ],
)
def test_a_text_that_was_cut_off_ends_with_its_last_whole_sentence(text: str, kept: str | None) -> None:
    assert whole_sentences(text) == kept
