"""Sentences of a text: where they end, and what is left of one that was cut off."""

from __future__ import annotations

import re

from sentencex import segment

ENOUGH = 40
"""Characters of whole sentences that are worth sending without the rest."""

_WHOLE = re.compile(r"(?:(?<!\d)\.|[!?…。！？؟।])[\"”’»)\]*_~`]*\Z")
_CLOSES = re.compile(r"[\"”’»)\]*_~`]+(?:\s+|\Z)")
_ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d+[.)])(?:\s|\Z)")
_DANGLING = re.compile(r"(?:\A|\n)[ \t]*(?:#{1,6}[ \t][^\n]*|[^\n]*:[*_]*|[-*+•]|\d+[.)])[ \t]*\Z")


def sentences(text: str) -> list[str]:
    """The sentences of a text in order, each with the space after it; together they are the text.

    Abbreviations are English, which fits what they share with other languages ("Dr.", "z. B."); other scripts' own
    full stops are known too.
    """
    found: list[str] = []
    for sentence in map(str, segment("en", text)):
        closed = _CLOSES.match(sentence) if found else None
        if closed and not found[-1][-1:].isspace():  # the mark or bracket belongs to the sentence before
            found[-1] += closed[0]
            sentence = sentence[closed.end() :]
        found += [sentence] if sentence else []
    return found if "".join(found) == text else [text]


def _whole_lines(text: str, *, code: bool) -> str:
    """The lines of a sentence before its last one, where each says something by itself: in a list, in code."""
    before, _, last = text.rpartition("\n")
    return before if code or _ITEM.match(last) or _WHOLE.search(before) else ""


def whole_sentences(text: str) -> str | None:
    """A text that was cut off at any place, up to the end of its last whole sentence or line.

    Marks and code of Markdown that are left open are closed or taken out. None when too little is left: neither
    ENOUGH characters nor half of the text.
    """
    found = sentences(text)
    kept = "".join(found).rstrip()
    if found and not _WHOLE.search(kept):
        kept = "".join([*found[:-1], _whole_lines(found[-1].rstrip(), code=kept.count("```") % 2 == 1)]).rstrip()
    while kept != (shorter := _DANGLING.sub("", kept).rstrip()):
        kept = shorter
    if len(kept) < ENOUGH and 2 * len(kept) < len(text):
        return None
    if kept.count("```") % 2:
        return f"{kept}\n```"
    if kept.count("**") % 2:
        before, _, after = kept.rpartition("**")
        return before + after
    return kept or None
