"""How a reply is read: without case, accents, emoji and quotations, cut into clauses of plain words."""

from __future__ import annotations

import re
import unicodedata
from typing import TypeAlias

Clause: TypeAlias = tuple[str, ...]
"""Words without punctuation, lower-case, apostrophes and accents taken out: ``don't`` is ``dont``."""

STOP_SIGN = "\N{OCTAGONAL SIGN}"

_NAME_WORDS = 3

_REACTION = re.compile(
    r"(?:liked|loved|disliked|laughed at|emphasi[sz]ed|questioned|reacted \S{1,20} to"
    r"|removed an? [\w ]{1,40} from|[^\w\s]{1,20} to)\s+(?:an? \w+|[“\"«„].*[”\"»“])",
    re.IGNORECASE | re.DOTALL,
)
_QUOTATION = re.compile(r"“[^“”]*”|«[^«»]*»|„[^„“]*“|\"[^\"]*\"")
_OUR_NOTICE = re.compile(r"\b(?:reply|text|txt|send|respond)(?: with)? \W?stop\b", re.IGNORECASE)
_NOTICE = re.compile(r"(?:please )?(?:reply|text|txt|send|respond)(?: with)? stop (?:to|2|for|if|at|and) ")
_OTHER_WORDS = 4
"""Beside at least so many other words, "Reply STOP to opt out" is a machine's own notice and not a request."""

_FOOTER = re.compile(
    r"\n(?:-- ?\n|sent from my |sent via |get outlook for |envoyé de mon |von meinem |enviado desde ).*",
    re.IGNORECASE | re.DOTALL,
)
_APOSTROPHES = re.compile(r"['`´ʼ‘’‛′]|(?<=[a-z])\?(?=[a-z])")
_BREAK = re.compile(r"[.!?,;:…。！？、，\n\r|()]+|\s[-–—~*]+\s|[–—]")
_STRETCHED_STOP = re.compile(r"\bs+t+o+p+\b")
_JOINED = {
    ("opt", "out"): "optout",
    ("opt", "in"): "optin",
    ("un", "subscribe"): "unsubscribe",
    ("un", "stop"): "unstop",
    ("re", "subscribe"): "resubscribe",
    ("don", "t"): "dont",
}


def clauses_of(text: str) -> list[Clause]:
    """The clauses of a reply, empty ones left out, without its signature and without notices that name STOP."""
    visible = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    answer = _kept(visible, "\n".join(line for line in visible.splitlines() if not line.lstrip().startswith(">")))
    unsigned = _kept(answer, _FOOTER.sub("", answer.strip()))
    said = _kept(unsigned, _QUOTATION.sub(_without_our_notice, unsigned))
    plain = _STRETCHED_STOP.sub(
        "stop", _APOSTROPHES.sub("", _without_accents(said).replace("wrong #", "wrong number "))
    )
    clauses = [_joined(_letters(part).split()) for part in _BREAK.split(plain)]
    return _without_notice(_spelled_out([clause for clause in clauses if clause]))


def first_line_of(text: str) -> str:
    """The first line of a reply that has a name, at most three capitalised words, on its second and last one."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if len(lines) != 2:
        return text
    names = lines[1].lstrip("-–—~ ").split()
    signed = 0 < len(names) <= _NAME_WORDS and all(name[0].isupper() for name in names)
    return lines[0] if signed else text


def is_reaction(text: str) -> bool:
    """Whether a phone reports that somebody put a heart or thumb on one of our messages."""
    return _REACTION.fullmatch(text.strip()) is not None


def is_stop_sign(text: str) -> bool:
    """Whether a reply is nothing but the octagonal sign 🛑, once or several times."""
    return STOP_SIGN in text and not any(c.isalnum() for c in text)


def plain_word(word: str) -> str:
    """A keyword in the form that words of a clause have."""
    return _letters(_without_accents(word)).strip()


def _without_accents(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in parts if not unicodedata.combining(c))


def _letters(text: str) -> str:
    return "".join(c if c.isalnum() else " " for c in text)


def _kept(whole: str, part: str) -> str:
    """`part`, unless no word is left in it: then a sign was taken for a mark and the words are the answer."""
    return part if any(c.isalnum() for c in part) else whole


def _without_our_notice(quotation: re.Match[str]) -> str:
    return "\n" if _OUR_NOTICE.search(quotation.group()) else quotation.group()


def _without_notice(clauses: list[Clause]) -> list[Clause]:
    own = [clause for clause in clauses if not _NOTICE.match(" ".join(clause))]
    return own if sum(map(len, own)) >= _OTHER_WORDS else clauses


def _joined(parts: list[str]) -> Clause:
    joined: list[str] = []
    for part in parts:
        both = _JOINED.get((joined[-1], part)) if joined else None
        if both is None:
            joined.append(part)
        else:
            joined[-1] = both
    return tuple(joined)


def _spelled_out(clauses: list[Clause]) -> list[Clause]:
    """``S.T.O.P.`` and ``s t o p`` are one word."""
    letters = [word for clause in clauses for word in clause]
    if len(letters) > 2 and all(len(letter) == 1 and letter.isascii() for letter in letters):
        return [("".join(letters),)]
    return clauses
