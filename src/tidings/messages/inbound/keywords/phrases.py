"""Whether a clause asks in plain words for no more messages, or for them to come again."""

from __future__ import annotations

import re

from tidings.messages.inbound.keywords.requests import CONTACTING, REFUSALS, REQUESTS, RETURNS, STOPPING
from tidings.messages.inbound.keywords.requests_abroad import REQUESTS_ABROAD

_LOOKED_BACK = 40
"""Characters before a request in which a word can turn it round."""

# What may come before "stop" in a request, in any order and number.
_OPENING = re.compile(
    r"(?:(?:please|pls|plz|plse|hi|hello|hey|dear|sir|madam|ok|okay|so|and|but|just|now|kindly|seriously|sorry"
    r"|no|yes|yeah|omg|wtf|ffs|guys|everyone|you|u|to|im|i|said|saying|say|told|already|asked|asking|ask|wanted|want|need|would|like|id"
    r"|can|could|will|us|must|have|reply|text|send|again|really|simply|immediately|thanks|for the love of god) )*"
    r"(stop)(?: |$)"
)

# "Stop" before these is a halt, a visit, or about something else than messages.
_ANOTHER_STOP = re.compile(
    r"(?:by|over|in|at|off|on|here|there|near|before|after|until|till|where|when|and|short"
    r"|signs?|lights?|watch|motion"
    r"|sooner|the|a|an|my|his|her|our|their|is|was|were|are|has|had|\d{1,4} (?:is|was|at|on)|if|me if|it from|so i"
    r"|being"
    r"|to (?!stop|end|opt|unsub|cancel|quit)\w+|for (?!good|ever|now|real|all|gods?|the love)\w+)\b"
)
_ACTIVITY = re.compile(r"[a-z]{3,20}ing\b")
_AT_ME = re.compile(
    rf"(?!making|teasing|tempting|kidding)(?:{CONTACTING}|[a-z]{{3,20}}ing (?:\w{{1,12}} ){{0,2}}(?:me|us|my))\b"
)

# Just before a request these turn it round: a negation, a question about the past, a condition.
_TURNED_ROUND = re.compile(
    r"\b(?:(?:dont|do not|never|cant|can not|cannot|couldnt|wont|will not|wouldnt|didnt|did not|not|without)"
    r"(?: (?:want|mean|meant|wish|need|plan|ever|please|have|just|even|to)){0,3}"
    r"|(?:did|have|had|has|who|if|when|nobody|people|they)(?: (?:you|u|i|we|they|it|he|she)){0,2})$"
)
# "If you do not stop texting me" asks for it all the same.
_ASKED_ALL_THE_SAME = re.compile(
    r"\b(?:(?:if|why|since|because) (?:you|u|yall|this|it) (?:dont|do not|wont|cant)"
    r"|when (?:will|are) (?:you|u|this|it|these)(?: going to)?|(?:i|we) have)$"
)
_OWN_RESOLUTION = re.compile(
    r"\b(?:i|we)(?: (?:really|should|must|can|will|could|just)){0,3}"
    r"(?: (?:need|have|had|got|want|ought|would like) to)?(?: just)?$|\b(?:ill|id like to|lets)$"
)
_TO_AN_END = re.compile(r"\bto (?:stop|end)$")


def asks_to_be_left_alone(clause: str) -> bool:
    """Whether one clause, its words joined by spaces, asks in plain words for no more messages."""
    return (
        _leads_with_stop(clause)
        or any(_is_meant(clause[: found.start()]) for found in REQUESTS.finditer(clause))
        or any(_is_meant(clause[: found.start()], of_others=True) for found in STOPPING.finditer(clause))
        or (REFUSALS.search(clause) is not None and _TO_AN_END.search(clause) is None)
        or REQUESTS_ABROAD.search(clause) is not None
    )


def asks_to_come_back(clause: str) -> bool:
    """Whether one clause is a plain request to be messaged again."""
    return RETURNS.fullmatch(clause) is not None


def _leads_with_stop(clause: str) -> bool:
    opening = _OPENING.match(clause)
    if not opening:
        return False
    rest = clause[opening.end() :]
    if _ACTIVITY.match(rest):
        return _AT_ME.match(rest) is not None and _is_meant(clause[: opening.start(1)], of_others=True)
    return _ANOTHER_STOP.match(rest) is None


def _is_meant(before: str, *, of_others: bool = False) -> bool:
    tail = before[-_LOOKED_BACK:].rstrip()
    if of_others and _OWN_RESOLUTION.search(tail):
        return False
    return _TURNED_ROUND.search(tail) is None or _ASKED_ALL_THE_SAME.search(tail) is not None
