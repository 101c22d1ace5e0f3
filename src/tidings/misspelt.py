"""Variables of the environment that are meant for Tidings and that nothing reads, for one slip in their names.

An environment has other programs' variables, and ours begin with words that theirs begin with too: only a slip of the
pen is taken for one. What is not one but near is told, and stops nobody.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from rapidfuzz.distance import OSA

from tidings.validation import nearest

_SHARED = ("REDIS_", "SMTP_", "DATABASE_", "OPENAI_", "N8N_", "WHATSAPP_")
"""What variables of many other programs begin with."""

_LINKED = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?|ENV_\w+|NAME)"
)
"""What Kubernetes and Docker set in every container where a service is called tidings, or tidings-api."""

_CALLED_OTHERWISE = {
    "SMTP_PASS": "SMTP_PASSWORD",
    "SMTP_USERNAME": "SMTP_USER",
    "SMTP_LOGIN": "SMTP_USER",
    "SMTP_SERVER": "SMTP_HOST",
    "SMTP_ADDRESS": "SMTP_HOST",
    "SMTP_SENDER": "SMTP_FROM",
    "SMTP_FROM_ADDRESS": "SMTP_FROM",
    "SMTP_FROM_EMAIL": "SMTP_FROM",
    "OPENAI_KEY": "OPENAI_API_KEY",
    "OPENAI_API_BASE": "OPENAI_BASE_URL",
    "OPENAI_API_BASE_URL": "OPENAI_BASE_URL",
    "OPENAI_MODEL_NAME": "OPENAI_MODEL",
    "REDIS_PASS": "REDIS_PASSWORD",
    "REDISHOST": "REDIS_HOST",
    "DB_URL": "DATABASE_URL",
    "POSTGRES_URL": "DATABASE_URL",
    "MITTO_KEY": "MITTO_API_KEY",
    "MITTO_API_TOKEN": "MITTO_API_KEY",
    "MITTO_FROM": "MITTO_SENDER",
}
"""What other programs call the same; told where the setting has no value."""

_VARIANT = re.compile(r"(S|_?\d+)")
_MANY_WORDS = 3


def find_misspelt(
    unread: Mapping[str, str], names: Sequence[str], set_names: Collection[str], prefix: str
) -> tuple[dict[str, str | None], dict[str, str]]:
    """Those that stop a start and those that are only told, each with the one of the `names` that is meant.

    Whatever begins with the `prefix` is meant for Tidings, whether a name is near or not, except what Kubernetes
    sets. What is near to one of `set_names`, which have a value already, is another program's.
    """
    bare = {name.removeprefix(prefix): name for name in reversed(names)}
    beginnings = tuple({f"{name.partition('_')[0]}_" for name in names})
    wrong: dict[str, str | None] = {}
    told: dict[str, str] = {}
    for given, value in unread.items():
        name = given.upper()
        if name.startswith(prefix):
            if not _is_linked(name, value):
                wrong[given] = bare.get(nearest(name.removeprefix(prefix), tuple(bare)) or "")
        elif meant := _meant(name, names):
            if meant in set_names:
                told[given] = meant
            else:
                wrong[given] = meant
        elif (otherwise := _CALLED_OTHERWISE.get(name)) in names:
            if otherwise is not None and otherwise not in set_names:
                told[given] = otherwise
        elif name.startswith(beginnings) and (near := nearest(name, tuple(names), alike=0.87)):
            told[given] = near
    return wrong, told


def _is_linked(name: str, value: str) -> bool:
    return bool(_LINKED.fullmatch(name)) or (name.endswith("_PORT") and "://" in value)


def _meant(name: str, names: Sequence[str]) -> str | None:
    """The one of the names that somebody meant who made one slip."""
    words = name.split("_")
    if len(words) == 1:
        return None
    for one in names:
        slips = OSA.distance(name, one, score_cutoff=2)
        if slips <= (1 if one.startswith(_SHARED) else 2) and len(name) >= 9 and not _is_variant(name, one):
            return one
        theirs = one.split("_")
        if len(words) < _MANY_WORDS or words[0] != theirs[0]:
            continue
        if sorted(words) == sorted(theirs) or (len(theirs) == len(words) + 1 and _is_within(words, theirs)):
            return one
    return None


def _is_variant(name: str, one: str) -> bool:
    """Whether it says something else: more of them, a number, another kind of address."""
    if name.startswith(one) and _VARIANT.fullmatch(name[len(one) :]):
        return True
    return {name[-4:], one[-4:]} == {"_URL", "_URI"} or name[-1].isdigit() != one[-1].isdigit()


def _is_within(words: Sequence[str], longer: Sequence[str]) -> bool:
    rest = iter(longer)
    return all(word in rest for word in words)
