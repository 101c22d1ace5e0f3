"""Who is the same person: what is told of somebody, compared with those who are known by the same address.

A mail address or a number belongs to one person as a rule and to a family now and then; names tell which. The same
address is the same person unless the names clash, and who has no name is whoever has the address. Pure: whoever asks
has found the people.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from tidings.messages.contacts.names import Likeness, compare_names


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody who is known by one of the addresses that were told, or by several; those in canonical form."""

    id: int
    name: str | None
    addresses: Set[str]


@dataclass(frozen=True, slots=True)
class Identification:
    """Whom something was told of: `id`, None for somebody new. `rivals` are two whom a person has to choose from."""

    id: int | None
    rivals: tuple[int, int] | None = None


def find_person(name: str | None, addresses: Set[str], known: Sequence[Known]) -> Identification:
    """Which of the `known`, the preferred one first, is the person that is told by a name and canonical addresses.

    Names that agree outweigh one that says nothing, and two addresses outweigh one. Two people with agreeing names
    who are known by one address each are rivals: nobody but a person can say whether they are one.
    """
    likeness = {one.id: compare_names(name, one.name) for one in known if addresses & one.addresses}
    agreeing = [one for one in known if likeness.get(one.id) is Likeness.AGREE]
    silent = [one for one in known if likeness.get(one.id) is Likeness.SILENT]
    ranked = sorted(agreeing or silent, key=lambda one: -len(addresses & one.addresses))
    if not ranked:
        return Identification(None)
    best = ranked[0]
    rival = next((one for one in agreeing if addresses & one.addresses - best.addresses), None)
    return Identification(best.id) if rival is None else Identification(None, (best.id, rival.id))
