"""What of a text its writer wrote: not the message that a mail program or a person quotes, and no signature."""

from __future__ import annotations

import re
from functools import cache

from tidings.messages.inbound.keywords.folding import fold
from tidings.messages.inbound.keywords.packs import sources

READ = 4_000
"""Characters of a writer's own words that are read; who has not said it by then says something else."""

_SEARCHED = 60_000
_LONGEST_HEADER = 300
_CLOSING_LINES = 8
_NAME_WORDS = 3

_REACTION = re.compile(
    r"(?:liked|loved|disliked|laughed at|emphasi[sz]ed|questioned|reacted \S{1,20} to"
    r"|removed an? [\w ]{1,40} from|[^\w\s]{1,20} to|le gust[oó]|le encant[oó]|a aim[eé]|a ador[eé]|hat)\s+"
    r"(?:an? \w+|[“\"«„].*[”\"»“](?: .{1,30} (?:markiert|reagiert))?)",
    re.IGNORECASE | re.DOTALL,
)
_FIELD = re.compile(r"\W*[^\W\d]{1,16}(?: [^\W\d]{1,12})?\W{0,2}[:：] ?\S")
_ADDRESS_OR_DATE = re.compile(r"@|\d")
_ADDRESSED = re.compile(r"\d.*<[^<>\s]+@[^<>\s]+> ?[:：]$")
_RULE = re.compile(r"\s*_{8,}\s*")


def is_reaction(text: str) -> bool:
    """Whether a phone reports that somebody put a heart or thumb on one of our messages."""
    return _REACTION.fullmatch(text[:_SEARCHED].strip()) is not None


def own_words(text: str, *, mail: bool) -> str:
    """`text` without quoted lines and signatures, of a mail also without what it answers; its first 4,000 characters.

    What would leave no word is not cut: then a sign was taken for a mark, and the words are the answer.
    """
    lines = text[:_SEARCHED].splitlines()
    for cut in (_without_answered, _without_quoted, _without_footer) if mail else (_without_quoted, _without_footer):
        left = cut(lines)
        lines = left if any(c.isalnum() for line in left for c in line) else lines
    return "\n".join(lines).strip()[:READ]


def first_line_of(text: str) -> str:
    """The first line of a reply that has a name, at most three capitalised words, on its second and last one."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if len(lines) != 2:
        return text
    names = lines[1].lstrip("-–—~ ").split()
    signed = 0 < len(names) <= _NAME_WORDS and all(name[0].isupper() for name in names)
    return lines[0] if signed else text


def _without_answered(lines: list[str]) -> list[str]:
    for number in range(len(lines)):
        if _begins_original(lines, number):
            return lines[:number]
    for several in (1, 2, 3):  # a header may be broken into lines
        for number in range(len(lines) - several + 1):
            header = lines[number : number + several]
            if all(line.strip() for line in header) and _is_header(" ".join(header)):
                after = lines[number + several :]
                return lines[:number] + (after if any(_is_quoted(one) for one in after) else [])
    return lines


def _begins_original(lines: list[str], number: int) -> bool:
    line = lines[number]
    if len(line) > _LONGEST_HEADER:
        return False
    if _RULE.fullmatch(line) or _mail("original").fullmatch(fold(line).strip(" -_*=")):
        return line.strip()[:2] in {"--", "__", "==", "**"} or _RULE.fullmatch(line) is not None
    fields = [one for one in lines[number : number + 3] if _FIELD.match(one[:_LONGEST_HEADER])]
    return len(fields) == 3 and any("@" in one for one in fields)


def _is_header(line: str) -> bool:
    if len(line) > _LONGEST_HEADER:
        return False
    said = fold(line).rstrip(" \u200b")
    return _ADDRESSED.search(said) is not None or (
        said.endswith((":", "：")) and _ADDRESS_OR_DATE.search(said) is not None and bool(_mail("wrote").search(said))
    )


def _is_quoted(line: str) -> bool:
    return line.lstrip().startswith((">", "＞"))


def _without_quoted(lines: list[str]) -> list[str]:
    return [line for line in lines if not _is_quoted(line)]


def _without_footer(lines: list[str]) -> list[str]:
    for number, line in enumerate(lines):
        if number == 0 or not line.strip() or len(line) > _LONGEST_HEADER:
            continue
        said = fold(line).strip(" .,!-–—*_")
        begun = line.rstrip() == "--" or _mail("sent").match(said) or _mail("disclaimer").search(said)
        closed = _mail("closing").fullmatch(said) and len(lines) - number <= _CLOSING_LINES
        if begun or closed:
            return lines[:number]
    return lines


@cache
def _mail(what: str) -> re.Pattern[str]:
    """What mail programs say in any language: `wrote`, `original` message, `sent` from, `closing`, `disclaimer`."""
    said = [fold(line) for source in sources().values() for line in source.get("mail", {}).get(what, [])]
    return re.compile(rf"(?:{'|'.join(said) or '(?!)'})" if what != "wrote" else "|".join(said))
