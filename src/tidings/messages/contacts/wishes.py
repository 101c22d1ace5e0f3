"""What people want to get, as a file says it: opt-outs, and consent to promotional messages given or taken back.

Whoever is not to be disturbed gets nothing of the installation there; whoever refuses marketing gets what they have
to know all the same (docs/opt-outs.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tidings.errors import BadRow
from tidings.messages.contacts.consents.consent_file import ConsentLine
from tidings.messages.contacts.consents.consent_import import take_words
from tidings.messages.contacts.consents.consents import Agreement, Newcomer
from tidings.messages.contacts.files.person import Person
from tidings.messages.gate.opt_outs import ANY_CHANNEL, OptOutRequest, Reach, add_opt_out, canonical
from tidings.messages.gate.trust import OPTED_OUT, change_trust
from tidings.messages.tenants import INSTALLATION
from tidings.work import Unit

DOOR = "import"


@dataclass(slots=True)
class Wishes:
    """What was kept: how many people opted out by the file, and how often consent was given (True) or refused, by
    channel; `bad` is what could not be kept."""

    opted_out: int = 0
    consents: Counter[tuple[str, bool]] = field(default_factory=Counter)
    bad: list[BadRow] = field(default_factory=list)


async def keep_wishes(
    unit: Unit, people: Sequence[tuple[int, Person]], reach: Reach, *, source: str, now: datetime
) -> Wishes:
    """Keeps what the people said to the installation, in the caller's unit of work, each with their contact's id.

    `source` names the file, which is the proof. Raises IntegrityError when somebody says the same right now.
    """
    done = Wishes()
    words = [word for _, person in people for word in _consents(person)]
    done.consents.update((word.channel, word.granted) for word in words)
    for start in range(0, len(words), 500):
        said = Agreement(True, INSTALLATION, source="import", door=DOOR, proof=source)
        taken = await take_words(unit, words[start : start + 500], said, {}, now)
        done.bad += taken.bad
    less_trust: list[int] = []
    for contact_id, person in sorted(people, key=lambda one: one[0]):
        if not person.stops:
            continue
        done.opted_out += 1
        requests = [one for stop in person.stops.items() for one in _requests(contact_id, person, *stop, reach)]
        if any([await add_opt_out(unit.session, one, now) for one in requests]):
            less_trust.append(contact_id)
    for contact_id in dict.fromkeys(less_trust):
        await change_trust(unit.session, contact_id, OPTED_OUT, "opted out", now)
    return done


def _requests(contact_id: int, person: Person, channel: str, words: str, reach: Reach) -> list[OptOutRequest]:
    """What to keep, for each address that a channel goes to."""
    addresses = dict.fromkeys(one for one in (person.phone, person.email, *person.addresses) if one)
    theirs = [one for one in addresses if channel == ANY_CHANNEL or ("@" in one) == (channel == "email")]
    return [
        request
        for address in dict.fromkeys(map(canonical, theirs))
        for request in reach.requests(
            [INSTALLATION], channel, OptOutRequest(address, DOOR, "import", words=words, contact_id=contact_id)
        )
    ]


def _consents(person: Person) -> list[ConsentLine]:
    found = []
    for channel, (granted, title) in person.consents.items():
        address = person.email if channel == "email" else person.phone
        if address is not None:
            newcomer = Newcomer(address, person.first_name, person.last_name)
            found.append(ConsentLine(person.line, newcomer, channel, granted, None, f"import: {title}"[:64], None))
    return found
