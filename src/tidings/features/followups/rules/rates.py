"""Reply rates, how certain they are, and whether two of them differ.

Wilson, "Probable inference, the law of succession, and statistical inference" (1927); Newcombe, "Interval
estimation for the difference between independent proportions" (1998), method 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

CONFIDENCE = 0.95
FEWEST = 30
"""People that every variant must have reached before a difference is spoken of."""

Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True)
class Arm:
    """One variant: how many people it reached and how many of them replied."""

    key: str
    reached: int
    replied: int

    @property
    def rate(self) -> float:
        return self.replied / self.reached if self.reached else 0.0


def wilson(successes: int, total: int, z: float = Z) -> tuple[float, float]:
    """The interval that holds the true rate; 95% sure by default. Nobody asked: anything from 0 to 1."""
    if not total:
        return 0.0, 1.0
    rate = successes / total
    middle = rate + z * z / (2 * total)
    margin = z * sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max((middle - margin) / scale, 0.0), min((middle + margin) / scale, 1.0)


def verdict(arms: Sequence[Arm]) -> str:
    """One sentence: which variant gets more replies, or that it cannot be told yet, and why.

    The best variant is compared with every other one; the confidence holds for all comparisons together
    (Bonferroni). It holds for one look at the result, not for looking until it pleases.
    """
    if len(arms) < 2:
        return "There is only one variant, so there is nothing to compare."
    few = [arm for arm in arms if arm.reached < FEWEST]
    if few:
        least = min(few, key=lambda arm: arm.reached)
        return (
            f"It is too early to tell: '{least.key}' has reached {least.reached} people, "
            f"and every variant should reach at least {FEWEST}."
        )
    best, *others = sorted(arms, key=lambda arm: (-arm.rate, arm.key))
    z = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / (2 * len(others)))
    equals = [arm for arm in others if _surplus(best, arm, z) <= 0]
    if not equals:
        behind = " and ".join(f"{arm.rate:.0%} of '{arm.key}'" for arm in others)
        return f"'{best.key}' gets more replies: {best.rate:.0%} against {behind}."
    names = " and ".join(f"'{arm.key}' ({arm.rate:.0%})" for arm in equals)
    return f"No difference can be told yet between '{best.key}' ({best.rate:.0%}) and {names}."


def _surplus(better: Arm, other: Arm, z: float) -> float:
    """The lower end of the interval that holds the difference of the two rates."""
    low, _ = wilson(better.replied, better.reached, z)
    _, high = wilson(other.replied, other.reached, z)
    return better.rate - other.rate - sqrt((better.rate - low) ** 2 + (high - other.rate) ** 2)
