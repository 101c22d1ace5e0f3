"""The guard: an answer of a model is sent only when nothing in it could be invented.

It compares what an answer claims (claims.py) and names (names.py) with the facts, and looks at its form
(form.py). It reads English, and answers in other languages are refused. It does not judge what an answer means:
a denial made of the facts' own words passes. When it is unsure it refuses; the template is always a good message.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from tidings.ai.answer_text import answer_text
from tidings.ai.base import Brief
from tidings.ai.claims import Claim, claims
from tidings.ai.facts import Facts, facts_of, plain
from tidings.ai.form import fault, unfamiliar
from tidings.ai.names import unknown_name, wrongly_greeted

_DAYS = frozenset({"date", "weekday", "relative day"})
_MUST_STAY = frozenset({"link", "phone", "price", "percent", "time"})


def check(text: str, brief: Brief) -> str | None:
    """The sentence why `text` may not be sent as the brief's message; None when it may. It names the piece."""
    reason = _reason(plain(text), brief)
    return " ".join(reason.split()) if reason else None  # a piece of the text may reach over a line's end


def clean(text: str) -> str:
    """An answer as `answer_text` leaves it, without spare spaces."""
    lines = [re.sub(r"[ \t\u00a0\u202f\u2009]+", " ", line).strip() for line in answer_text(text).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


def unsupported(text: str, facts: Facts) -> str | None:
    """The sentence why the facts do not bear `text` out; None when they do."""
    claimed = claims(text)
    for claim in claimed:
        if not facts.support(claim):
            return _says(claim.said)
    if strange := unfamiliar(text, facts.characters, facts.folded):
        return f"it has '{strange}', which is not among the facts"
    if name := unknown_name(text, facts, claimed):
        return _says(name)
    return None


def _reason(text: str, brief: Brief) -> str | None:
    if sentence := fault(text, plain(brief.template)) or brief.too_long(text):
        return sentence
    facts = facts_of(brief)
    return unsupported(text, facts) or _wrong_greeting(text, brief, facts) or _left_out(text, brief)


def _wrong_greeting(text: str, brief: Brief, facts: Facts) -> str | None:
    name = wrongly_greeted(text, plain(brief.template), facts)
    return f"it greets '{name}', who is not the person that the message is for" if name else None


def _left_out(text: str, brief: Brief) -> str | None:
    """What the template tells and the answer does not: a message without its link or its time is of no use."""
    said = Facts((text,))
    told = claims(plain(brief.template))
    for claim in told:
        if claim.kind in _MUST_STAY and not said.support(_in_any_writing(claim)):
            return f"it leaves out '{claim.said}'"
    days = [claim for claim in told if claim.kind in _DAYS]
    if days and not any(claim.kind in _DAYS for claim in said.claims):
        return f"it leaves out '{days[0].said}'"
    if re.search(r"\bSTOP\b", brief.template) and not re.search(r"\bSTOP\b", text):
        return "it leaves out 'STOP'"
    return None


def _in_any_writing(claim: Claim) -> Claim:
    """A time that counts as told however it is written."""
    if claim.kind != "time":
        return claim
    value: Any = claim.value
    return replace(claim, value=(*value[:2], False))


def _says(words: str) -> str:
    return f"it says '{words}', which is not among the facts"
