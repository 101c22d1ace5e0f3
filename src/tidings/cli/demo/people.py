"""The people of the demo. Their numbers are from the range that is kept for fiction (555-0100 to 555-0199)."""

from __future__ import annotations

from dataclasses import dataclass

from tidings.features.events.schemas import ContractorIn

_FIRST = ("Ada", "Ben", "Chen", "Dora", "Emil", "Fatima", "Goran", "Hana", "Ivan", "Jade", "Kofi", "Lena", "Mei")
_LAST = ("Abara", "Brandt", "Costa", "Dvorak", "Eriksen", "Fuentes", "Grant", "Haddad", "Ito", "Jansen", "Kaya")
_COMPANIES = ("Brightside Roofing", "Castle Windows", "Delta Solar", "Evergreen Decks", "Fairview Kitchens")
_ROOMS = ("Gray Room", "Tan Room")


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody who comes, and the room whose talks they chose."""

    contractor: ContractorIn
    favourite_room: str


def demo_people(count: int) -> list[Guest]:
    """As many different people as asked for, always the same ones."""
    return [_person(number) for number in range(count)]


def _person(number: int) -> Guest:
    first, last = _FIRST[number % len(_FIRST)], _LAST[number % len(_LAST)]
    return Guest(
        ContractorIn(
            name=f"{first} {last}",
            first_name=first,
            last_name=last,
            phone=f"+1{201 + number // 100:03}55501{number % 100:02}",
            email=f"{first}.{last}.{number}@example.com".lower(),
            company_name=_COMPANIES[number % len(_COMPANIES)],
        ),
        _ROOMS[number % 3 % 2],
    )
