"""Sessions of one guid keep their keys, whatever becomes of the others and in whatever order a file has them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tidings.features.events.agenda.keys import keep_keys, shares_keys
from tidings.features.events.schemas import FileSession

DAY = datetime(2027, 6, 5, 8, tzinfo=UTC)


@dataclass(frozen=True)
class Stored:
    key: str
    title: str
    start_time: datetime
    room: str | None = "Hall"
    origin: str | None = None


def session(title: str, hour: int, origin: str = "g", room: str | None = "Hall", key: str = "?") -> FileSession:
    start = DAY + timedelta(hours=hour)
    return FileSession(
        key=key,
        origin=origin,
        is_local=False,
        title=title,
        room=room,
        start_time=start,
        end_time=start + timedelta(minutes=45),
    )


def stored(title: str, hour: int, key: str, room: str | None = "Hall", origin: str | None = None) -> Stored:
    return Stored(key, title, DAY + timedelta(hours=hour), room, origin)


def keys(
    sessions: list[FileSession], known: list[Stored], used: frozenset[str] = frozenset()
) -> dict[str, str | None]:
    return {found.title: found.key for found in keep_keys(sessions, known, used)}


def test_a_second_session_before_the_first_does_not_take_its_key() -> None:
    known = [stored("B at 16", 8, "g")]
    assert keys([session("A at 14", 6), session("B at 16", 8)], known) == {"A at 14": "g-2", "B at 16": "g"}


def test_the_first_of_two_may_go_and_the_other_keeps_its_key() -> None:
    known = [stored("A", 6, "g"), stored("B", 8, "g-2")]
    assert keys([session("B", 8)], known) == {"B": "g-2"}


def test_a_session_is_known_by_its_title_when_it_moves_and_by_its_place_when_it_is_renamed() -> None:
    known = [stored("A", 6, "g"), stored("B", 8, "g-2"), stored("C", 9, "g-3")]
    moved = [session("B", 3), session("A, again", 6), session("D", 1)]
    assert keys(moved, known) == {"B": "g-2", "A, again": "g", "D": "g-3"}


def test_a_talk_given_twice_that_moves_as_a_whole_keeps_its_keys_in_order() -> None:
    known = [stored("A", 6, "g-2"), stored("A", 8, "g")]
    found = keep_keys([session("A", 9), session("A", 7)], known, set())
    assert [one.key for one in found] == ["g", "g-2"]


def test_a_new_session_gets_no_key_that_ever_meant_another_one() -> None:
    known = [stored("A", 6, "g")]
    assert keys([session("A", 6), session("C", 8)], known, frozenset({"g", "g-2"})) == {"A": "g", "C": "g-3"}


def test_a_guid_of_its_own_that_looks_numbered_is_nobody_elses() -> None:
    known = [stored("A", 6, "talk", origin="talk"), stored("B", 8, "talk-2", origin="talk-2")]
    assert keys([session("Other", 1, "talk")], known) == {"Other": "talk"}
    both = [session("X", 1, "talk-2"), session("Y", 2, "talk"), session("Z", 3, "talk")]
    assert keys(both, known) == {"X": "talk-2", "Y": "talk", "Z": "talk-3"}


def test_long_guids_are_cut_to_make_room_for_their_number() -> None:
    long = "x" * 64
    known = [stored("A", 6, long), stored("B", 8, "x" * 62 + "-2")]
    assert shares_keys([session("A", 6, long)], known)
    assert keys([session("B", 8, long), session("A", 6, long)], known) == {"A": long, "B": "x" * 62 + "-2"}


def test_sessions_with_guids_of_their_own_have_them_as_keys_and_come_back_to_them() -> None:
    sessions = [session("A", 6, "a"), session("B", 8, "b")]
    assert not shares_keys(sessions, [stored("A", 6, "a"), stored("C", 6, "c-2")])
    assert keys(sessions, [stored("A", 6, "a")], frozenset({"a", "b"})) == {"A": "a", "B": "b"}


def test_sessions_that_a_file_knows_by_nothing_are_known_by_title_or_place() -> None:
    known = [stored("A", 6, "Hall@2027-06-05T14:00Z", origin="@"), stored("B", 8, "Hall@2027-06-05T16:00Z")]
    assert keys(
        [
            session("A", 8, "@", key="Hall@2027-06-05T16:00Z"),
            session("New", 1, "@", key="Hall@2027-06-05T09:00Z"),
            session("B", 9, "@", key="Hall@2027-06-05T17:00Z"),
        ],
        known,
    ) == {"A": "Hall@2027-06-05T14:00Z", "B": "Hall@2027-06-05T16:00Z", "New": "Hall@2027-06-05T09:00Z"}


def test_an_exporter_that_begins_to_use_other_guids_means_the_same_sessions() -> None:
    known = [stored("A", 6, "1", origin="1"), stored("B", 8, "2", origin="2")]
    assert keys([session("B", 8, "uuid-b"), session("A", 7, "uuid-a")], known) == {"A": "uuid-a", "B": "2"}


_slots = st.tuples(
    st.sampled_from("ABCDE"), st.integers(0, 5), st.sampled_from(["g", "h", "g-2"]), st.sampled_from("XY")
)


@given(
    before=st.sets(_slots, min_size=1, max_size=8),
    added=st.sets(_slots, max_size=4),
    removed=st.sets(st.integers(0, 7), max_size=7),
    seed=st.randoms(use_true_random=False),
)
def test_any_order_and_any_others_added_or_removed_leave_a_session_its_key(
    before: set[tuple[str, int, str, str]],
    added: set[tuple[str, int, str, str]],
    removed: set[int],
    seed: random.Random,
) -> None:
    first = keep_keys([session(*slot) for slot in sorted(before)], [], set())
    known = [Stored(one.key or "", one.title, one.start_time, one.room, one.origin) for one in first]
    assert len({one.key for one in known}) == len(known)
    # Either come some or go some: what is new in the place of what went may be the same under another name.
    kept = [one for number, one in enumerate(first) if number not in removed]
    more = [session(*slot) for slot in sorted(added - before)] if not removed else []
    file = [*kept, *more]
    seed.shuffle(file)
    used = {one.key for one in known}
    after = keep_keys(file, known, used)
    assert [one.title for one in after] == [one.title for one in file]
    assert len({one.key for one in after}) == len(after)
    was = {(one.title, one.start_time, one.origin, one.room): one.key for one in first}
    for one in after:
        identity = (one.title, one.start_time, one.origin, one.room)
        if identity in was:
            assert one.key == was[identity]
        else:
            assert one.key not in used
