"""Texts as search terms: the same words find the same knowledge on every database."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

MAX_TERM = 40
"""Characters of a term; longer runs, such as hashes, are cut."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
_COMMON = """
    a about all also am an and any anything are as at be because been but by can could did do does doing for from get
    had has have he hello her hey hi him his how i if in into is it its just know let like long many may me might much
    my need no not of ok on one or our out over please really she should so some someone something tell thank thanks
    than that the their them then there these they thing this those to too up us very want was we were what when where
    which while who why will with would yes you your
    aber als am an auch auf aus bei bin bitte danke das dass dem den der des die du ein eine einen er es für habe
    haben hallo hat ich ihr im in ist ja kann können mein mich mit nach nein nicht oder sie sind so um und uns von
    war was wann warum wer werden wie wir wird wo zu zum zur
"""
_STOP_WORDS = frozenset(_COMMON.split())
_ENDINGS = (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"))
_SHORTEST = 3


def terms_of(text: str) -> list[str]:
    """The terms of a text in its order: words in lower case, without endings and without the commonest words.

    Scripts without spaces (Chinese, Japanese, Thai) give every two neighbouring characters as a term.
    """
    found: list[str] = []
    for word in _words(unicodedata.normalize("NFKC", text).casefold()):
        if word not in _STOP_WORDS:
            found.append(_stem(word)[:MAX_TERM])
    return found


def _words(text: str) -> Iterator[str]:
    for found in _WORD.finditer(text):
        word = re.split("['’]", found.group())[0]
        at = 0
        for run in _UNSPACED.finditer(word):
            if run.start() > at:
                yield word[at : run.start()]
            characters = run.group()
            yield from (characters[i : i + 2] for i in range(max(len(characters) - 1, 1)))
            at = run.end()
        if at < len(word):
            yield word[at:]


def _stem(word: str) -> str:
    """A word without the endings that English questions and answers differ by; the rest only has to be alike."""
    if not word.isascii() or word.isdigit():
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) > len(ending) + 1:
            word = word.removesuffix(ending) + instead
            break
    else:
        if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > _SHORTEST:
            word = word[:-1]
    for ending in ("ing", "ed", "ment", "er"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= _SHORTEST + (ending == "er") and any(vowel in stem for vowel in "aeiouy"):
            word = stem[:-1] if len(stem) > _SHORTEST and stem[-1] == stem[-2] and stem[-1] not in "lsz" else stem
            break
    return word[:-1] if word.endswith("e") and len(word) > _SHORTEST else word
