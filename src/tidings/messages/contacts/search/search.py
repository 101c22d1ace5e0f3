"""Finding people by name, number or mail address, however they are written, the best first.

What was written is looked up in the words that people are known by (`words.py`): first those that begin with it, then
those that differ by a slip of the finger. Both are found by an index; where there are very many, the search stops
early and says so.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rapidfuzz.distance import OSA
from sqlalchemy import ColumnElement, Select, and_, exists, or_, select, union
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from tidings.errors import Conflict, InvalidInput, NotFound
from tidings.messages.contacts.addresses import contacts_with
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.names import plain, words_of
from tidings.messages.contacts.numbers.canonical import spellings_of
from tidings.messages.contacts.numbers.phones import parse_phone
from tidings.messages.contacts.search.words import ContactWord

MOST = 500
"""People who are looked at, at most."""

VOCABULARY = 5000
"""Words that are compared with one that was written, at most."""

SHORTEST = 4
"""Letters that a word needs for slips, or for the end of a number, to be looked for."""

NOTHING = "holds nothing to look for; write a name, a phone number or a mail address"
SHORT = 5
"""Letters of a word in which every swap is tried."""

LISTED = 10
"""People whom a question names, at most, that may mean several."""

ABOUT = 0.05
"""How much nearer somebody has to come to what was written to be meant alone."""

_NUMBER = re.compile(r"[\d\s()+./-]+", re.ASCII)
_ID = re.compile(r"(?:contact-|#)(\d{1,18})|(\d{1,5})", re.ASCII)
_AFTER_ALL = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Hit:
    """Somebody who was found. `score` is 1.0 for what was written exactly so, and less for what is only like it."""

    contact: Contractor
    score: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Who was found, the best first. `stopped_early`: there may be more, or better ones, when more is written."""

    hits: Sequence[Hit]
    stopped_early: bool


@dataclass(frozen=True, slots=True)
class Sought:
    """A word that was written: people have it, one that begins so, one of `alike`, or a number with these `ends`."""

    word: str
    ends: tuple[str, ...] = ()
    alike: Collection[str] = ()

    def among(self, words: Any) -> list[ColumnElement[bool]]:
        """The ways in which a row of the words may be one of these, each of which an index finds."""
        ways = [_begins(words.word, self.word), *(_begins(words.backwards, end[::-1]) for end in self.ends)]
        return [*ways, words.word.in_(sorted(self.alike))] if self.alike else ways

    def score(self, words: Collection[str]) -> float:
        """How near somebody's words come to it: 1 for the same, 0 for nothing."""
        return max((self._near(word) for word in words), default=0.0)

    def _near(self, word: str) -> float:
        if word == self.word:
            return 1.0
        if word.startswith(self.word) or (self.ends and word.endswith(self.ends)):
            return 0.8 + 0.15 * len(self.word) / len(word)
        return 0.75 * OSA.normalized_similarity(self.word, word) if word in self.alike else 0.0


@dataclass(frozen=True, slots=True)
class SearchTerms:
    """What was written, as it is looked for: by words, and at once by an `address` if it is a whole one."""

    sought: tuple[Sought, ...]
    addresses: Collection[str] = ()


def read_search(text: str, region: str) -> SearchTerms:
    """Raises InvalidInput for a text in which there is nothing to look for."""
    written = " ".join(text.split())
    if "@" in written:
        address = written.lower().replace(" ", "")
        return SearchTerms((Sought(address),), (address,))
    if _NUMBER.fullmatch(written):
        digits = re.sub(r"\D", "", written)
        bare = digits.lstrip("0")
        if not bare:
            raise InvalidInput("query", NOTHING)
        try:
            addresses = spellings_of(parse_phone(written, region))
        except InvalidInput:
            addresses = set()
        ends = dict.fromkeys(end for end in (digits, bare) if len(end) >= SHORTEST)
        return SearchTerms((Sought(bare, tuple(ends)),), addresses)
    words = tuple(dict.fromkeys(words_of(written) or plain(written).split()))
    if not words:
        raise InvalidInput("query", NOTHING)
    return SearchTerms(tuple(Sought(word) for word in words))


async def find_people(session: AsyncSession, text: str, *, region: str, limit: int) -> SearchResult:
    """Whom a text may mean, the best first. Raises InvalidInput when there is nothing to look for in it."""
    wanted = read_search(text, region)
    exact = {one for address in wanted.addresses for one in await contacts_with(session, address)}
    sought = wanted.sought
    ids, early = await _having(session, sought)
    if len(ids | exact) < limit:
        looser = [await _with_slips(session, one) for one in sought]
        early = early or any(stopped for _, stopped in looser)
        sought = tuple(one for one, _ in looser)
        if any(one.alike for one in sought):
            more, stopped = await _having(session, sought)
            ids, early = ids | more, early or stopped
    words = await _words_of(session, ids | exact)
    scores = {
        one: 1.0 if one in exact else sum(each.score(theirs) for each in sought) / len(sought)
        for one, theirs in words.items()
    }
    best = sorted(scores, key=lambda one: (-scores[one], one))
    people = {row.id: row for row in await session.scalars(select(Contractor).where(Contractor.id.in_(best)))}
    hits = [Hit(people[one], round(scores[one], 3)) for one in best if people[one].merged_into is None]
    return SearchResult(hits[:limit], early or len(hits) > limit)


async def name_one(session: AsyncSession, text: str, *, region: str) -> int:
    """The one person whom a text means: `contact-7`, a small number that is an id, or what `find_people` takes.

    Raises NotFound, and Conflict with a list when it may mean several.
    """
    if named := _ID.fullmatch(text.strip()):
        return int(named[1] or named[2])
    found = (await find_people(session, text, region=region, limit=LISTED + 1)).hits
    if not found:
        raise NotFound("person", repr(text))
    alike = [hit.contact for hit in found if hit.score > found[0].score - ABOUT]
    if len(alike) == 1:
        return alike[0].id
    shown = [f"contact-{one.id} ({', '.join(x for x in (one.name, one.phone, one.email) if x)})" for one in alike]
    more = " and others" if len(shown) > LISTED else ""
    raise Conflict(
        f"{text!r} may be any of {'; '.join(shown[:LISTED])}{more}: say which by its name, like {shown[0].split()[0]}"
    )


async def ids_beginning(session: AsyncSession, text: str, *, after_id: int, limit: int) -> Sequence[int]:
    """The next people, in order of id, one of whose words begins with each word of a text."""
    sought = [Sought(word) for word in plain(text).split() or [_AFTER_ALL]]
    [query] = _queries(sought)
    pages = query.where(ContactWord.contact_id > after_id).distinct().order_by(ContactWord.contact_id).limit(limit)
    return (await session.scalars(pages)).all()


def _queries(sought: Sequence[Sought]) -> list[Select[int]]:
    """The people who have all that is sought: a query for each way in which the longest word may be there."""
    first, *others = sorted(sought, key=lambda one: -len(one.word))
    also = []
    for one in others:
        words = aliased(ContactWord)
        also.append(exists().where(words.contact_id == ContactWord.contact_id, or_(*one.among(words))))
    return [select(ContactWord.contact_id).where(way, *also) for way in first.among(ContactWord)]


async def _having(session: AsyncSession, sought: Sequence[Sought]) -> tuple[set[int], bool]:
    """Who has all that is sought, and whether there are more than are looked at."""
    found = (await session.scalars(union(*_queries(sought)).limit(MOST + 1))).all()
    return set(found[:MOST]), len(found) > MOST


async def _with_slips(session: AsyncSession, sought: Sought) -> tuple[Sought, bool]:
    """The same with those words that differ by a slip; a second one is taken for one in a long word.

    One slip leaves the beginning or the end of a word as it is, so all that begin or end alike are compared. In a
    short word two swapped letters may be half of each, so those are tried.
    """
    word, alike, stopped = sought.word, set[str](), False
    if len(word) < SHORTEST or word.isdecimal():  # another number is somebody else's
        return sought, False
    part = max((len(word) - 1) // 2, 2)
    for column, text in ((ContactWord.word, word[:part]), (ContactWord.backwards, word[: -part - 1 : -1])):
        query = select(column).where(_begins(column, text)).distinct().limit(VOCABULARY)
        found = (await session.scalars(query)).all()
        stopped = stopped or len(found) == VOCABULARY
        alike.update(one if column is ContactWord.word else one[::-1] for one in found)
    if len(word) <= SHORT:
        swapped = {word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1)}
        alike.update(await session.scalars(select(ContactWord.word).where(ContactWord.word.in_(sorted(swapped)))))
    allowed = 1 if len(word) < 8 else 2
    near = {one for one in alike if one != word and OSA.distance(word, one, score_cutoff=allowed) <= allowed}
    return Sought(word, sought.ends, near), stopped


async def _words_of(session: AsyncSession, ids: Collection[int]) -> Mapping[int, set[str]]:
    found: dict[int, set[str]] = {one: set() for one in ids}
    rows = select(ContactWord.contact_id, ContactWord.word).where(ContactWord.contact_id.in_(sorted(ids)))
    for contact_id, word in await session.execute(rows):
        found[contact_id].add(word)
    return found


def _begins(column: Any, text: str) -> ColumnElement[bool]:
    return and_(column >= text, column < text + _AFTER_ALL)
