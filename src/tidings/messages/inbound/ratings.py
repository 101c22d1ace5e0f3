"""The rating in a reply: 1 to 10, as people text it."""

from __future__ import annotations

import re
import unicodedata

WORST, BEST = 1, 10

_ENGLISH = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_WORDS = {
    word: number
    for words in (
        _ENGLISH,
        ["un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix"],
        ["uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez"],
        ["eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn"],
        ["uno", "due", "tre", "quattro", "cinque", "sei", "sette", "otto", "nove", "dieci"],
        ["um", "dois", "três", "quatro", "cinco", "seis", "sete", "oito", "nove", "dez"],
        ["een", "twee", "drie", "vier", "vijf", "zes", "zeven", "acht", "negen", "tien"],
    )
    for number, word in enumerate(words, start=1)
}
_TENS = sorted(word for word, number in _WORDS.items() if number == BEST)

# Not part of a time, a date, a price, a share, a range or a longer number.
_DIGITS = r"(?<![\w.,:/$€£¥#@−\-])\d{1,2}(?:[.,]\d)?(?![\w%°$€£¥]|,\d|[.:/\-–]\w)"
_NUMBER = rf"(?P<n>{_DIGITS}|\b(?:{'|'.join(_ENGLISH)})\b(?![-–']\w))"
_ANY_NUMBER = rf"(?P<n>{_DIGITS}|\b(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})\b)"
_ENDS = r"(?=\s*(?:$|[.,;:!?(+<=]|[^\w\s%°$€£¥/#@&'’)]))"
_REMARK = (
    r"(?=\s+(?:loved|liked|enjoyed|because|but|cause|cuz|since|thanks|thank|thx|ty|overall|i|it|definitely|probably"
    r"|easily|maybe|for me|from me|from us|for sure|please|points|pts)\b)"
)
_ROUGHLY = (
    r"(?:(?:a|an|about|around|maybe|probably|definitely|solid|strong|full|easy|perfect|like|only|just|easily"
    r"|at least) ){0,4}"
)

# The whole reply: "8", "an 8!", "Rating: 8 points".
_ALONE = re.compile(
    r"\W*(?:(?:a|an|un|une|ein|eine|my|rating|score|vote|yes|ok|hi|hello|hmm|solid|about|maybe|easily|definitely)\b\W*)"
    rf"{{0,4}}{_ANY_NUMBER}(?:\s+(?:points|pts|please|thanks|for me|from me|i think|overall))?[^\w%$€£¥°]*"
)
_PLACES = (
    # 8/10, nine out of ten
    re.compile(
        rf"(?<!\bon )(?<!\bby )(?<!until )(?<!since )(?<!before )(?<!after )(?<![\w.,:/$€£¥#@−\-])"
        rf"(?P<n>\d{{1,2}}(?:[.,]\d)?|\b(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})\b) ?"
        rf"(?:/ ?10|(?:out of|of|von|sur|de|su|em|van de|van|auf) (?:10|{'|'.join(_TENS)}))(?![\w%]|[/.:,\-]\w)"
        r"(?! (?:people|persons|times|sessions|talks|attendees|guests|speakers|of|us|days|years|questions|minutes"
        r"|hours)\b)"
    ),
    # 8, loved the speaker
    re.compile(rf"^\W*(?:(?:a|an) )?{_NUMBER}(?:{_ENDS}|{_REMARK})"),
    # I would give it a seven
    re.compile(
        rf"\b(?:give|gave|giving|rate|rated|rating|score|scored|say|vote)"
        r"(?: (?:it|you|this|that|them|him|her|us|guys|the \w{1,20}|tonight|today|was|is|would be|with|as|at)){0,3}"
        rf":? {_ROUGHLY}{_NUMBER}(?:{_ENDS}|{_REMARK})"
    ),
    # It was a solid 9
    re.compile(
        r"\b(?:its|it['’]s|that['’]s|was|is|definitely|easily) (?:a|an)(?: solid| strong)? "
        rf"{_NUMBER}(?:{_ENDS}|{_REMARK})"
    ),
    # Great evening! 9
    re.compile(
        rf"(?:[!;,\n–—]|(?<!\bno)\.|\s-|[^\w\s:'’\"#@$€£¥/&+.?()<-])\s*(?:(?:a|an|so|or|maybe|and|solid) ){{0,3}}"
        rf"{_NUMBER}(?![^\w?]*\?)\W*$"
    ),
)
_RANGE = re.compile(rf"{_NUMBER.replace('?P<n>', '?:')}\s*(?:or|to|and|bis|ou|~|–|-)\s*(?:maybe )?(?:an? )?{_NUMBER}")
_OTHER_SCALE = re.compile(r"\d\s?/\s?(?!10\b)\d")
_LIST_MARK = re.compile(r"(?:^|\s)\d{1,2}[.)](?=\s)")


def rating_of(text: str) -> int | None:
    """The rating, 1 to 10, that `text` gives; None when it gives none, or several that differ.

    Understood are digits, alone, before a remark, after one, of 10 or with "I would give it", and English words for
    them; alone or of ten also French, Spanish, German, Italian, Portuguese and Dutch words. Half points are rounded
    up, as at school: 8.5 is 9. What lies outside of 1 to 10 is no rating, nor is one on another scale: stars usually
    mean five of them, so ⭐⭐⭐ and "4/5" are None. Times, dates, prices, counts and room numbers are none either.
    Never raises, and takes time in proportion to the text.
    """
    said = _plain(text)
    if alone := _ALONE.fullmatch(said):
        return _rating(alone["n"])
    if _RANGE.search(said) or _OTHER_SCALE.search(said) or len(_LIST_MARK.findall(said)) > 1:
        return None
    found = {_rating(match["n"]) for place in _PLACES for match in place.finditer(said)}
    return found.pop() if len(found) == 1 else None


def _plain(text: str) -> str:
    halves = text.replace("½", ".5").replace("\N{KEYCAP TEN}", "10")
    folded = unicodedata.normalize("NFKC", halves).casefold().replace("\N{FRACTION SLASH}", "/")
    visible = "".join(c for c in folded if unicodedata.category(c) not in {"Cf", "Me", "Mn"})
    return "\n".join(" ".join(line.split()) for line in visible.splitlines() if line.strip())


def _rating(number: str) -> int | None:
    if number in _WORDS:
        return _WORDS[number]
    whole, _, tenths = number.replace(",", ".").partition(".")
    points = int(whole)
    if (points >= BEST and int(tenths or 0) > 0) or not WORST <= points <= BEST:
        return None
    return points + (int(tenths or 0) >= 5)
