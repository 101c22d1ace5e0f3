"""Whom the lines of a file may be about: those who are known by their phones and mails, found many at a time."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from tidings.messages.contacts.addresses import known_by
from tidings.messages.contacts.files.people_file import Person
from tidings.messages.contacts.identity import Known
from tidings.messages.contacts.numbers.canonical import canonical_address


async def find_known(session: AsyncSession, people: Sequence[Person]) -> list[Known]:
    """Everybody who has a phone or a mail of the people."""
    return await known_by(session, {address for person in people for address in addresses_in(person)})


class Acquaintances:
    """Those who are known by some addresses, found by each."""

    def __init__(self, known: Sequence[Known]) -> None:
        self.ids = [one.id for one in known]
        self._having: dict[str, list[Known]] = {}
        for one in known:
            self._note(one)

    def of(self, person: Person) -> list[Known]:
        """Those who have an address of the person, each once."""
        found = {one.id: one for address in addresses_in(person) for one in self._having.get(address, ())}
        return [found[one] for one in sorted(found, key=lambda one: (one < 0, abs(one)))]

    def add(self, number: int, person: Person) -> None:
        """Somebody who is known from now on."""
        self._note(Known(number, person.name, addresses_in(person)))

    def _note(self, known: Known) -> None:
        for address in known.addresses:
            self._having.setdefault(address, []).append(known)


def addresses_in(person: Person) -> frozenset[str]:
    """The addresses of a line, in canonical form."""
    return frozenset(canonical_address(one) for one in (person.phone, person.email, *person.addresses) if one)
