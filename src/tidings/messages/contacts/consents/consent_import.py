"""Takes the consents of a file in: the good lines, in short units of work, whatever is wrong with the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from tidings.db.batches import insert_rows
from tidings.errors import BadRow
from tidings.messages.contacts.consents.consent_file import ConsentLine, ReadLine
from tidings.messages.contacts.consents.consents import Agreement, Enrol, contacts_of
from tidings.messages.gate.consents import Consent
from tidings.messages.gate.opt_outs import canonical, find_opt_outs
from tidings.messages.gate.terms import Purpose
from tidings.messages.tenants import divided
from tidings.work import Portions, Unit, Work

AT_ONCE = 500
"""Lines of one unit of work."""

MOST_TOLD = 1000
"""Bad lines that are told one by one; the others are counted."""


@dataclass(slots=True)
class ImportedConsents:
    """What became of a file: words that were `taken`, that were `known` before, and lines that say nothing.

    `opted_out` are addresses that consented and have said STOP, which goes on. `bad` are the first `MOST_TOLD` of
    `bad_lines` mistakes.
    """

    taken: int = 0
    known: int = 0
    silent: int = 0
    opted_out: int = 0
    bad_lines: int = 0
    bad: list[BadRow] = field(default_factory=list)

    def complain(self, rows: Sequence[BadRow]) -> None:
        self.bad_lines += len(rows)
        self.bad.extend(rows[: MOST_TOLD - len(self.bad)])


async def take_lines(
    work: Work, lines: Iterator[ReadLine], said: Agreement, enrol: Mapping[str, Enrol]
) -> ImportedConsents:
    """Takes what the lines say; `said` has the tenant, and the source and door where a line names none.

    A line that says no time counts as said now, unless the person has taken consent back: then it may be older, and
    is refused. The same file again changes nothing.
    """
    result, portions = ImportedConsents(), Portions(work)
    while read := await asyncio.to_thread(lambda: list(islice(lines, AT_ONCE))):
        words = [one for line in read for one in line.said]
        for line in read:
            result.complain(line.bad)
            result.silent += not line.said and not line.bad
        done = await _taken(portions, words, said, enrol, work.clock.now())
        result.taken += done.taken
        result.known += done.known
        result.opted_out += done.opted_out
        result.complain(done.bad)
    return result


async def _taken(
    portions: Portions, words: Sequence[ConsentLine], said: Agreement, enrol: Mapping[str, Enrol], now: datetime
) -> ImportedConsents:
    """The words kept in a unit of work, begun anew when somebody has added one of the people meanwhile."""
    for _ in range(2):
        with suppress(IntegrityError):
            async with portions.begin() as unit:
                return await take_words(unit, words, said, enrol, now)
    async with portions.begin() as unit:
        return await take_words(unit, words, said, enrol, now)


async def take_words(
    unit: Unit, words: Sequence[ConsentLine], said: Agreement, enrol: Mapping[str, Enrol], now: datetime
) -> ImportedConsents:
    """Takes words in the caller's unit of work. Raises IntegrityError when somebody adds one of the people now."""
    session, done = unit.session, ImportedConsents()
    people = {one.person.address: one.person for one in words}
    contacts = await contacts_of(session, list(people.values()), now)
    kind, number = divided(said.tenant)
    consenting = {one.person.address: one.person for one in words if one.granted}
    if kind in enrol and consenting:
        await enrol[kind](session, number, consenting, now)
    ids = sorted({contact_id for theirs in contacts.values() for contact_id in theirs})
    before = await session.execute(
        select(Consent.contact_id, Consent.channel, Consent.granted, Consent.at)
        .where(Consent.contact_id.in_(ids), Consent.tenant == said.tenant)
        .where(Consent.purpose == Purpose.PROMOTIONAL.value)
        .order_by(Consent.at, Consent.id)
    )
    known, last = set[tuple[int, str, bool, datetime]](), dict[tuple[int, str], tuple[bool, datetime]]()
    for contact_id, channel, granted, at in before:
        known.add((contact_id, channel, granted, at))
        last[contact_id, channel] = granted, at
    opt_outs = await find_opt_outs(session, consenting, ())
    rows: list[dict[str, object]] = []
    for one in words:
        address, new = one.person.address, False
        for contact_id in contacts[address]:
            latest = last.get((contact_id, one.channel))
            if one.at is None and latest is not None and latest[0] == one.granted:
                continue
            if one.at is None and one.granted and latest is not None:
                since = f"took consent back on {latest[1]:%Y-%m-%d}"
                sentence = f"{address} {since}, and the line does not say when it was given; add the time"
                done.complain([BadRow(one.number, "at", sentence)])
                break
            at = one.at or now
            if (contact_id, one.channel, one.granted, at) in known:
                continue
            known.add((contact_id, one.channel, one.granted, at))
            if latest is None or at >= latest[1]:
                last[contact_id, one.channel] = one.granted, at
            new = True
            rows.append(
                {
                    "contact_id": contact_id,
                    "channel": one.channel,
                    "tenant": said.tenant,
                    "purpose": said.purpose,
                    "address": canonical(address),
                    "granted": one.granted,
                    "at": at,
                    "source": one.source or said.source,
                    "door": said.door,
                    "wording": one.wording,
                    "proof": f"{said.proof}, line {one.number}",
                }
            )
        else:
            done.taken, done.known = done.taken + new, done.known + (not new)
            stopped, _ = opt_outs.since(address, None, said.tenant, one.channel, promotional=True)
            done.opted_out += one.granted and stopped is not None
    await insert_rows(session, Consent, rows)
    return done
