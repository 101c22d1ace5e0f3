"""Who meets whom in the networking slots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.features.events.models import SessionKind
from tidings.features.events.rules.peers import match_peers
from tidings.features.events.rules.plan import Attendee, SessionFacts

MORNING = datetime(2025, 10, 17, 9, tzinfo=UTC)
IDS = st.lists(st.integers(1, 10_000), unique=True, max_size=25)


def people(ids: list[int]) -> list[Attendee]:
    return [Attendee(number, f"Person {number}", None, frozenset(), MORNING, None) for number in ids]


def slots(count: int) -> list[SessionFacts]:
    starts = [MORNING + timedelta(hours=number) for number in range(count)]
    return [
        SessionFacts(f"n{number}", SessionKind.NETWORKING, "Networking", None, None, None, start, start)
        for number, start in enumerate(starts)
    ]


@settings(deadline=None)
@given(IDS, st.integers(0, 30))
def test_pairs_are_mutual_and_nobody_meets_himself(ids, count):
    matches = match_peers(people(ids), slots(count))
    assert set(matches) == {f"n{number}" for number in range(count)}
    for pairs in matches.values():
        for person, peer in pairs.items():
            assert peer.contractor_id != person
            assert pairs[peer.contractor_id].contractor_id == person


@settings(deadline=None)
@given(IDS, st.integers(0, 10))
def test_everybody_meets_somebody_except_one_of_an_odd_number(ids, count):
    for pairs in match_peers(people(ids), slots(count)).values():
        assert len(pairs) == len(ids) - len(ids) % 2
        assert set(pairs) <= set(ids)


@settings(deadline=None)
@given(IDS)
def test_everybody_has_met_everybody_once_before_anybody_meets_again(ids):
    rounds = len(ids) - 1 + len(ids) % 2 if len(ids) > 1 else 0
    matches = match_peers(people(ids), slots(rounds))
    for person in ids:
        met = [pairs[person].contractor_id for pairs in matches.values() if person in pairs]
        assert sorted(met) == sorted(set(ids) - {person})


@settings(deadline=None)
@given(st.integers(1, 12).map(lambda half: 2 * half + 1))
def test_a_different_person_is_left_over_each_time(count):
    ids = list(range(count))
    left_over = [set(ids) - set(pairs) for pairs in match_peers(people(ids), slots(count)).values()]
    assert sorted(min(left) for left in left_over) == ids


@settings(deadline=None)
@given(IDS, st.integers(0, 10), st.randoms())
def test_the_order_of_the_lists_makes_no_difference(ids, count, random):
    attendees, networking = people(ids), slots(count)
    matches = match_peers(attendees, networking)
    random.shuffle(attendees)
    random.shuffle(networking)
    assert match_peers(attendees, networking) == matches


@pytest.mark.parametrize("ids", [[], [7]])
def test_with_nobody_to_meet_there_are_no_pairs(ids):
    assert match_peers(people(ids), slots(2)) == {"n0": {}, "n1": {}}
