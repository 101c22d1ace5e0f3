"""Finding people as somebody types who they mean."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from support.cases import every_case
from tidings.app import App
from tidings.errors import InvalidInput
from tidings.messages.contacts.search import search
from tidings.messages.contacts.search.search import read_search

OpenApp = Callable[..., Awaitable[App]]

PEOPLE = [
    ("Ada Abara", "+18105550101", "ada@example.com", "Analytical Engines"),
    ("Ben Abara", "+18105550101", "ben@example.com", None),
    ("Łukasz Żak", "+48512345678", None, None),
    ("Jonathan Smith", "+447911123456", "jon.smith@example.org", "Acme"),
    ("Joan Smyth", "+12125550123", None, None),
    ("Müller, Jörg", "+4915112345678", "joerg@example.de", None),
    ("Smithson Ltd", None, "office@smithson.example", None),
    ("O'Brien, Siobhán", "+353851234567", None, None),
    ("张伟", "+8613812345678", None, None),
]


@pytest.fixture
async def app(open_app: OpenApp, database_url: str) -> App:
    app = await open_app(database_url=database_url, default_region="DE")
    for name, phone, email, company in PEOPLE:
        await app.events.create_contractor({"name": name, "phone": phone, "email": email, "company_name": company})
    return app


FOUND = [
    ("Ada", ["Ada Abara"]),
    ("ada abara", ["Ada Abara"]),
    ("ABARA, ADA", ["Ada Abara"]),
    ("aba", ["Ada Abara", "Ben Abara"]),
    ("abara b", ["Ben Abara"]),
    ("ada engines", ["Ada Abara"]),
    ("lukasz zak", ["Łukasz Żak"]),
    ("Łuk", ["Łukasz Żak"]),
    ("Lukazs", ["Łukasz Żak"]),
    ("muller", ["Müller, Jörg"]),
    ("mueller", ["Müller, Jörg"]),
    ("obrien", ["O'Brien, Siobhán"]),
    ("o’brien siobhan", ["O'Brien, Siobhán"]),
    ("siobahn", ["O'Brien, Siobhán"]),
    ("smith", ["Jonathan Smith", "Smithson Ltd", "Joan Smyth"]),
    ("jonathan smtih", ["Jonathan Smith"]),
    ("jonahtan smyth", ["Jonathan Smith"]),
    ("张", ["张伟"]),
    ("zhang", ["张伟"]),
    # numbers
    ("+1 810 555 0101", ["Ada Abara", "Ben Abara"]),
    ("0151 123 456 78", ["Müller, Jörg"]),
    ("00 49 151 12345678", ["Müller, Jörg"]),
    ("491511234", ["Müller, Jörg"]),
    ("07911 123456", ["Jonathan Smith"]),
    ("0123", ["Joan Smyth"]),
    ("555-0101", ["Ada Abara", "Ben Abara"]),
    # mail
    ("ADA@example.com", ["Ada Abara"]),
    ("jon.smith@", ["Jonathan Smith"]),
    ("ada@exmaple.com", ["Ada Abara"]),
    ("ben@exampel.com", ["Ben Abara"]),
    # nobody
    ("zzz", []),
    ("+49 30 901820", []),
    ("ada smith", []),
]


@pytest.mark.both_databases
async def test_people_are_found_however_they_are_written_the_best_first(app: App) -> None:
    found = {}
    for text, _ in FOUND:
        result = await app.contacts.find(text)
        assert not result.stopped_early
        assert all(0 < hit.score <= 1 for hit in result.hits)
        found[text] = [hit.contact.name for hit in result.hits]
    assert found == dict(FOUND)


@pytest.mark.both_databases
async def test_a_search_among_very_many_stops_early_and_says_so(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MOST", 2)
    result = await app.contacts.find("s")
    assert result.stopped_early
    assert len(result.hits) == 2
    assert (await app.contacts.find("a", limit=1)).stopped_early
    assert not (await app.contacts.find("ada")).stopped_early


async def test_a_search_for_nothing_says_what_to_write(app: App) -> None:
    for nothing in ("", "  ", "🙂", "...", "000"):
        with pytest.raises(InvalidInput, match="write a name, a phone number or a mail address"):
            await app.contacts.find(nothing)


@pytest.mark.both_databases
async def test_people_are_listed_page_by_page_and_by_what_they_have(app: App) -> None:
    page = await app.contacts.list_contacts(limit=4)
    names = [one.name for one in page.contacts]
    while page.after_id is not None:
        page = await app.contacts.list_contacts(after_id=page.after_id, limit=4)
        names += [one.name for one in page.contacts]
    assert names == [name for name, *_ in PEOPLE]

    async def listed(**wanted: str) -> list[str]:
        return [one.name for one in (await app.contacts.list_contacts(**wanted)).contacts]

    assert await listed(name="abara") == ["Ada Abara", "Ben Abara"]
    assert await listed(name="abara be") == ["Ben Abara"]
    assert await listed(phone="+1 (810) 555-0101") == ["Ada Abara", "Ben Abara"]
    assert await listed(phone="+18105550101", name="ben") == ["Ben Abara"]
    assert await listed(email="ADA@example.com") == ["Ada Abara"]
    assert await listed(email="ada@example.com", phone="+12125550123") == []
    with pytest.raises(InvalidInput, match="no mail address"):
        await listed(email="ada")


@every_case(
    "text, words, number",
    [
        ("Ada", ("ada",), False),
        ("Dr. Ada Abara", ("ada", "abara"), False),
        ("0151 12345678", ("15112345678",), True),
        ("12", ("12",), False),
        ("Ada@Example.com ", ("ada@example.com",), True),
    ],
)
def test_what_was_written_is_read_as_name_number_or_mail(text: str, words: tuple[str, ...], number: bool) -> None:
    wanted = read_search(text, "DE")
    assert tuple(one.word for one in wanted.sought) == words
    assert bool(wanted.addresses) is number
