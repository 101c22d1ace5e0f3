"""Who is the same person, as a table: by names, and by names together with addresses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from support.cases import every_case
from tidings.messages.contacts.identity import Identification, Known, find_person
from tidings.messages.contacts.names import Likeness, compare_names, plain, says_less, words_of

AGREE, CLASH, SILENT = Likeness.AGREE, Likeness.CLASH, Likeness.SILENT

NAMES = [
    # the same words
    ("Ada Abara", "Ada Abara", AGREE),
    ("Ada Abara", "ada  ABARA", AGREE),
    ("Ada Abara", "Abara, Ada", AGREE),
    ("Ada Abara", "Abara Ada", AGREE),
    ("Ada Abara", "Dr. Ada Abara", AGREE),
    ("Ada Abara", "Prof. Dr. Ada Abara, PhD", AGREE),
    ("Cyd Cole", "Cole, Cyd (VIP)", AGREE),
    ("Ada", "Ada Abara", AGREE),
    ("Abara", "Ada Abara", AGREE),
    ("Ada B. Abara", "Ada Abara", AGREE),
    ("Ada Beatrix Abara", "Ada B. Abara", AGREE),
    ("Ludwig van Beethoven", "Ludwig Beethoven", AGREE),
    ("Sinéad O'Connor", "Sinead OConnor", AGREE),
    ("Sinéad O’Connor", "Sinead O'Connor", AGREE),
    ("Anne-Marie Duval", "Anne Marie Duval", AGREE),
    # initials, short forms, other spellings
    ("A. Abara", "Ada Abara", AGREE),
    ("A Abara", "Ada Abara", AGREE),
    ("Ben Boyd", "Benjamin Boyd", AGREE),
    ("Bill Boyd", "William Boyd", AGREE),
    ("Liz Boyd", "Elizabeth Boyd", AGREE),
    ("Jon Boyd", "John Boyd", AGREE),
    ("Ted Boyd", "Edward Boyd", AGREE),
    ("Pepe García", "José Garcia", AGREE),
    ("Sepp Huber", "Josef Huber", AGREE),
    ("Kasia Nowak", "Katarzyna Nowak", AGREE),
    ("Muhammad Khan", "Mohammed Khan", AGREE),
    ("Łukasz Żak", "Lukasz Zak", AGREE),
    ("Jörg Weiß", "Jorg Weiss", AGREE),
    ("Иван Петров", "Ivan Petrov", AGREE),
    ("Catherine Boyd", "Katherine Boyd", AGREE),
    ("Sara Cole", "Sarah Cole", AGREE),
    ("Jonathan Boyd", "Jonahtan Boyd", AGREE),
    # a surname changes
    ("Ada Abara", "Ada King", AGREE),
    # a family
    ("Ada Abara", "Ben Abara", CLASH),
    ("Ada Abara", "Ben Boyd", CLASH),
    ("Abara, Ada", "Abara, Ben", CLASH),
    ("A. Abara", "Ben Abara", CLASH),
    ("A. Abara", "A. Boyd", CLASH),
    ("A. Boyd", "Ada King", CLASH),
    ("Martin Huber", "Martina Huber", CLASH),
    ("Mario Rossi", "Maria Rossi", CLASH),
    ("Daniel Roy", "Daniela Roy", CLASH),
    ("Paul Cole", "Paula Cole", CLASH),
    ("Dan Roy", "Ann Roy", CLASH),
    ("Acme Ltd", "Ada Abara", CLASH),
    ("Ada King", "King Abara", CLASH),
    # no name
    (None, "Ada", SILENT),
    ("", "Ada", SILENT),
    ("Customer", "Ada", SILENT),
    ("Guest", "Guest", SILENT),
    ("N/A", "Ada", SILENT),
    ("ada@example.org", "Ada Abara", SILENT),
    ("+1 810 555 0101", "Ada Abara", SILENT),
    ("🙂", "Ada Abara", SILENT),
]


@every_case("one, other, likeness", NAMES)
def test_names_agree_or_clash(one: str | None, other: str | None, likeness: Likeness) -> None:
    assert compare_names(one, other) is likeness
    assert compare_names(other, one) is likeness


PHONE, MAIL, OTHER = "+18105550101", "ada@example.com", "+18105550102"


def known(person: int, name: str | None, *addresses: str) -> Known:
    return Known(person, name, frozenset(addresses))


PEOPLE = [
    ("nobody is known", "Ada Abara", {PHONE}, [], Identification(None)),
    ("one phone and one name", "Ada Abara", {PHONE}, [known(1, "Ada Abara", PHONE)], Identification(1)),
    ("another phone", "Ada Abara", {OTHER}, [known(1, "Ada Abara", PHONE)], Identification(None)),
    ("a relative", "Ben Abara", {PHONE}, [known(1, "Ada Abara", PHONE)], Identification(None)),
    (
        "one of a family",
        "Ben Abara",
        {PHONE},
        [known(1, "Ada Abara", PHONE), known(2, "B. Abara", PHONE)],
        Identification(2),
    ),
    ("whom a shop calls customer", "Ada Abara", {PHONE}, [known(1, "Customer", PHONE)], Identification(1)),
    ("nobody's name", None, {PHONE}, [known(3, "Ada", PHONE), known(1, "Ben", PHONE)], Identification(3)),
    ("a mail that a couple shares", "Ben Boyd", {MAIL}, [known(1, "Ada Abara", MAIL)], Identification(None)),
    (
        "a name outweighs none",
        "Ada Abara",
        {PHONE, MAIL},
        [known(1, "Customer", PHONE), known(2, "Ada Abara", MAIL)],
        Identification(2),
    ),
    (
        "two addresses outweigh one",
        "Ada Abara",
        {PHONE, MAIL},
        [known(1, "Ada", PHONE), known(2, "Ada Abara", PHONE, MAIL)],
        Identification(2),
    ),
    (
        "a family's phone and one's own mail",
        "Ada Abara",
        {PHONE, MAIL},
        [known(1, "Ben Abara", PHONE), known(2, "Ada Abara", MAIL)],
        Identification(2),
    ),
    (
        "two of the same name",
        "Ada Abara",
        {PHONE, MAIL},
        [known(1, "Ada Abara", PHONE), known(2, "A. Abara", MAIL)],
        Identification(None, (1, 2)),
    ),
]


@every_case("what, name, addresses, people, verdict", PEOPLE)
def test_who_is_meant(
    what: str, name: str | None, addresses: set[str], people: list[Known], verdict: Identification
) -> None:
    assert find_person(name, addresses, people) == verdict


@every_case(
    "told, known_name, less",
    [
        ("A. Abara", "Ada Abara", True),
        ("Ada", "Ada Abara", True),
        ("Customer", "Ada", True),
        ("Ada Abara", "A. Abara", False),
        ("Ada King", "Ada Abara", False),
        ("Ben", "Benjamin", False),
        ("ADA ABARA", "Ada Abara", False),
    ],
)
def test_a_name_that_says_less_is_told_from_one_that_says_something_else(
    told: str, known_name: str, less: bool
) -> None:
    assert says_less(told, known_name) is less


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_two_texts_can_be_compared_and_in_either_order(one: str, other: str) -> None:
    assert compare_names(one, other) is compare_names(other, one)
    assert compare_names(one, one) in (AGREE, SILENT)
    assert plain(plain(one)) == plain(one)


@given(st.lists(st.sampled_from(["Ada", "Ben", "Cyd", "Abara", "Boyd", "Łukasz", "Żak"]), min_size=1, max_size=4))
def test_order_case_and_accents_change_no_name(words: list[str]) -> None:
    name = " ".join(words)
    assert compare_names(name, plain(" ".join(reversed(words))).upper()) is AGREE
    assert len(words_of(name)) == len(words)
