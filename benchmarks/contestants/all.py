"""Everybody who is compared, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.contestants.base import Contestant
from benchmarks.contestants.node import Node, NodeWithRows
from benchmarks.contestants.python import RECIPES, PythonPeer
from benchmarks.contestants.tidings import TidingsContestant
from tidings.errors import ConfigurationError

NODE = Node.label
"""Whose figures the others' are multiples of."""


def contestants(only: str) -> list[Contestant]:
    """Those whose keys are in `only`, separated by commas. Raises ConfigurationError for an unknown key."""
    everybody: Sequence[Contestant] = (
        TidingsContestant("PostgreSQL"),
        TidingsContestant("SQLite"),
        Node(),
        NodeWithRows(),
        *map(PythonPeer, RECIPES),
    )
    known = {one.key: one for one in everybody}
    wanted = [key.strip() for key in only.split(",")]
    for key in wanted:
        if key not in known:
            raise ConfigurationError(f"There is no contestant {key!r}. Choose from {', '.join(known)}.")
    return [known[key] for key in wanted]
