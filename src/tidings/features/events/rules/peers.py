"""Who meets whom when: pairs for the networking slots."""

from __future__ import annotations

from collections.abc import Sequence

from tidings.features.events.rules.plan import Attendee, SessionFacts


def match_peers(attendees: Sequence[Attendee], networking: Sequence[SessionFacts]) -> dict[str, dict[int, Attendee]]:
    """For every networking slot's key: contractor_id → the person to meet there. Pairs are mutual.

    The round-robin tournament's circle method over the attendees in the order of their contractor_id: a slot,
    in order of time, is a round. Everybody meets somebody new in each of them until they have met everybody.
    When the number is odd, another one each time is left over and is absent from that slot. The same
    attendees and slots always give the same pairs.
    """
    people = [person for _, person in sorted({person.contractor_id: person for person in attendees}.items())]
    rounds = sorted(networking, key=lambda session: (session.start_time, session.key))
    return {session.key: _round(people, number) for number, session in enumerate(rounds)}


def _round(people: Sequence[Attendee], number: int) -> dict[int, Attendee]:
    """The pairs of one round: seats whose numbers add up to it, round a circle with an odd number of seats.

    The seat that would face itself is paired with the one person outside the circle, whom an even number
    of people has and an odd number has not.
    """
    seats = len(people) - 1 + len(people) % 2
    pairs: dict[int, Attendee] = {}
    for seat in range(seats):
        other = (number - seat) % seats
        if other == seat:
            if seats == len(people):
                continue
            other = seats
            pairs[people[other].contractor_id] = people[seat]
        pairs[people[seat].contractor_id] = people[other]
    return pairs
