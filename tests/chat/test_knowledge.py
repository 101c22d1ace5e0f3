"""Knowledge: both databases find the same items, kept up with every change, and only within one knowledge base."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.support import Chats
from tidings.errors import NotFound
from tidings.features.chat.rules.ranking import Candidate, by_meaning, by_words, cosine, fuse, pack, unpack
from tidings.features.chat.rules.words import MAX_TERM, terms_of

pytestmark = pytest.mark.both_databases

ITEMS = {
    "How long does shipping take?": "Parcels arrive within 3 to 5 working days.",
    "Shipping abroad": "We ship to every country of the EU, and take customs into account.",
    "Returns": "You may return what you bought within 30 days; shipping back is free.",
    "Batteries": "Every lamp comes with two AA batteries. O'Brien's lamps need three.",
    "订单什么时候发货": "我们在两天内发货。",
}


FOUND: dict[str, list[str]] = {
    "shipping": ["Shipping abroad", "How long does shipping take?", "Returns"],
    "Do you SHIP abroad?": ["Shipping abroad", "How long does shipping take?", "Returns"],
    "returned, returning, return": ["Returns"],
    "a battery": ["Batteries"],
    "什么时候发货？": ["订单什么时候发货"],
    "' OR 1=1 --": [],
    '" * NEAR( ) : - & | ! <->': [],
    "the of and": [],
    "NOT shipping AND NOT returns": ["Returns", "Shipping abroad", "How long does shipping take?"],
    "O'Brien": ["Batteries"],
}


async def test_a_question_finds_the_same_items_in_the_same_order_on_both_databases(chats: Chats) -> None:
    bot, other = await chats.chatbot(items=ITEMS), await chats.chatbot(items={"Shipping": "Somebody else's secret."})
    assert bot.knowledge_base_id is not None
    assert other.knowledge_base_id is not None
    for question, titles in FOUND.items():
        found = await chats.chat.knowledge.search(bot.knowledge_base_id, question)
        assert [one.title for one in found] == titles, question
        assert all("secret" not in one.content for one in found)


async def test_a_changed_or_deleted_item_is_found_by_what_it_says_now(chats: Chats) -> None:
    bot = await chats.chatbot(items={"Opening hours": "9 to 5."})
    base = bot.knowledge_base_id
    assert base is not None
    [item] = await chats.chat.knowledge.list_items(base)
    await chats.chat.knowledge.change_item(base, item.id, {"title": "Parking", "content": "Behind the house."})
    assert await chats.chat.knowledge.search(base, "opening hours") == []
    assert [one.id for one in await chats.chat.knowledge.search(base, "where to park")] == [item.id]
    await chats.chat.knowledge.delete_item(base, item.id)
    assert await chats.chat.knowledge.search(base, "parking") == []
    again = await chats.chat.knowledge.add_item(base, {"title": "Parking", "content": "On the roof."})
    assert [one.content for one in await chats.chat.knowledge.search(base, "parking")] == [again.content]


async def test_items_and_knowledge_bases_of_others_are_not_found(chats: Chats) -> None:
    bot, other = await chats.chatbot(items={"Parking": "Behind the house."}), await chats.chatbot()
    assert bot.knowledge_base_id is not None
    assert other.knowledge_base_id is not None
    [item] = await chats.chat.knowledge.list_items(bot.knowledge_base_id)
    with pytest.raises(NotFound):
        await chats.chat.knowledge.delete_item(other.knowledge_base_id, item.id)
    with pytest.raises(NotFound):
        await chats.chat.accounts.change_chatbot(other.id, {"knowledge_base_id": bot.knowledge_base_id})


@given(st.text(max_size=200))
@settings(max_examples=150, deadline=None)
def test_terms_are_letters_and_digits_whatever_is_asked_and_their_own_terms(text: str) -> None:
    for term in terms_of(text):
        assert 0 < len(term) <= MAX_TERM
        assert not any(character.isspace() or character in "\"'&|!():*<>\\" for character in term)


@pytest.mark.parametrize(
    ("one", "other"),
    [("ships", "shipping"), ("batteries", "battery"), ("opened", "opening"), ("prices", "price"), ("boxes", "box")],
)
def test_forms_of_a_word_are_one_term(one: str, other: str) -> None:
    assert terms_of(one) == terms_of(other) != []


def _item(number: int, text: str, vector: list[float] | None = None) -> Candidate:
    return Candidate(number, text, text, terms_of(text), terms_of(f"{text} {text}"), vector)


def test_a_rare_word_counts_more_than_a_common_one() -> None:
    items = [_item(n, "lamp colour") for n in range(1, 9)] + [_item(9, "lamp voltage")]
    assert by_words(terms_of("lamp voltage"), items, 9)[0].id == 9


def test_the_best_of_either_order_comes_first() -> None:
    near, worded, neither = (
        _item(1, "parcel", [1, 0]),
        _item(2, "delivery time", [0.9, 0.1]),
        _item(3, "lamp", [0, 1]),
    )
    words = by_words(terms_of("delivery"), [near, worded, neither], 3)
    meaning = by_meaning([1.0, 0.0], [near, worded, neither])
    assert [one.id for one in fuse(words, meaning, 5)] == [2, 1, 3]
    assert [one.id for one in fuse(words, meaning, 1)] == [2]


@given(st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_vectors_come_back_as_they_were_stored(vector: list[float]) -> None:
    assert unpack(pack(vector)) == vector
    if any(abs(number) > 1e-3 for number in vector):
        assert math.isclose(cosine(vector, vector), 1.0, abs_tol=1e-6)
    assert cosine(vector, [*vector, 1.0]) == 0.0
