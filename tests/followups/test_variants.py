"""Who gets which variant of an experiment, and when a difference between variants is told."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.features.followups.rules.rates import Arm, verdict, wilson
from tidings.features.followups.rules.variants import pick


def variants(*weights: int) -> list[dict[str, Any]]:
    return [{"key": chr(97 + number), "weight": weight} for number, weight in enumerate(weights)]


def test_a_contractor_always_gets_the_same_variant() -> None:
    # Fixed for ever: another hash would give people another text in the middle of an experiment.
    assert "".join(pick("spring", person, variants(1, 1))["key"] for person in range(1, 21)) == "abaabbabbbabbbbbbbba"


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=20), st.integers(1, 2**63), st.lists(st.integers(1, 1000), min_size=1))
def test_everybody_gets_one_of_the_variants(name: str, person: int, weights: list[int]) -> None:
    assert pick(name, person, variants(*weights)) == pick(name, person, variants(*weights))


@pytest.mark.parametrize("weights", [(1, 1), (1, 3), (5, 3, 2), (1, 1000)])
def test_over_many_contractors_the_weights_hold(weights: tuple[int, ...]) -> None:
    people = 20_000
    met = Counter(pick("spring", person, variants(*weights))["key"] for person in range(people))
    for variant in variants(*weights):
        share = variant["weight"] / sum(weights)
        deviation = (share * (1 - share) / people) ** 0.5
        assert abs(met[variant["key"]] / people - share) < 5 * deviation


def test_two_experiments_do_not_split_people_alike() -> None:
    same = sum(
        pick("spring", person, variants(1, 1))["key"] == pick("summer", person, variants(1, 1))["key"]
        for person in range(10_000)
    )
    assert 4_700 < same < 5_300


WILSON = [
    # From Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I, method 3.
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718),
]


@pytest.mark.parametrize(("successes", "total", "low", "high"), WILSON)
def test_the_interval_of_a_rate_is_wilsons(successes: int, total: int, low: float, high: float) -> None:
    assert wilson(successes, total) == pytest.approx((low, high), abs=0.00005)


def test_a_rate_of_nobody_may_be_anything() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


VERDICTS = [
    ([Arm("a", 0, 0), Arm("b", 0, 0)], "It is too early to tell: 'a' has reached 0 people"),
    ([Arm("a", 500, 250), Arm("b", 29, 1)], "It is too early to tell: 'b' has reached 29 people"),
    ([Arm("a", 100, 22), Arm("b", 100, 20)], "No difference can be told yet between 'a' (22%) and 'b' (20%)."),
    ([Arm("a", 100, 20), Arm("b", 100, 40)], "'b' gets more replies: 40% against 20% of 'a'."),
    # The difference of two variants is not enough among eight.
    ([Arm("a", 100, 34), Arm("b", 100, 20)], "'a' gets more replies: 34% against 20% of 'b'."),
    (
        [Arm("a", 100, 34), *(Arm(key, 100, 20) for key in "bcdefgh")],
        "No difference can be told yet between 'a' (34%) and 'b' (20%) and",
    ),
    (
        [Arm("a", 200, 80), Arm("b", 200, 78), Arm("c", 200, 20)],
        "No difference can be told yet between 'a' (40%) and 'b' (39%).",
    ),
    ([Arm("a", 40, 0), Arm("b", 40, 0)], "No difference can be told yet between 'a' (0%) and 'b' (0%)."),
    ([Arm("a", 40, 1)], "There is only one variant"),
]


@pytest.mark.parametrize(("arms", "sentence"), VERDICTS)
def test_the_verdict_says_what_can_be_told(arms: list[Arm], sentence: str) -> None:
    assert verdict(arms).startswith(sentence)
