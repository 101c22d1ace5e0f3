"""The encoding of a text file: told by its mark, valid as UTF-8, or that which makes names of its letters.

Detectors go by the statistics of long texts; a list of people has one word in an odd encoding now and then. So each
encoding is judged by its words: letters of one language, capitals where they begin, no signs in between.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import BinaryIO

from tidings.errors import InvalidInput

_MOST_LOOKED_AT = 200_000
_BOMS = (
    *((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32")),
    *((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")),
)
_CANDIDATES = (
    *("cp1252", "cp1250", "cp1251", "cp932", "gb18030", "big5", "cp949", "koi8-r", "mac_roman", "cp1254", "cp1253"),
    *("cp1257", "iso8859_2", "cp1255", "cp1256", "cp874", "cp850", "cp852", "cp866"),
)
"""Of two that make equally good names the first is taken."""

_WESTERN = (
    *("äöüß", "éèêëàâîïôûùçœæÿ", "áéíóúüñ", "ãõáàâéêíóôúç", "æøåé", "åäöé", "àèéìíòóù", "áéíóúýæö", "áðéíóúýþæö"),
    *("ëïéèöü", "äöüõšž", "àéèíïóòúüç"),
)
_CENTRAL = ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž", "äöüß")
_BALTIC = ("ąčęėįšųūž", "āčēģīķļņšūž", "äöüõšž")
_LANGUAGES = {
    **dict.fromkeys(("cp1252", "mac_roman", "cp850"), _WESTERN),
    **dict.fromkeys(("cp1250", "iso8859_2", "cp852"), _CENTRAL),
    "cp1254": ("çğıi̇öşü",),
    "cp1257": _BALTIC,
}
"""Letters beyond a to z, language by language, of those that are written in an encoding."""
_RARE = {"äöüõšž": 0.85, "áðéíóúýþæö": 0.95}

_WORD = re.compile(r"[^\s,;|\"'()<>@/\\:+.&*!?#=\[\]{}0-9_-]+")
_VOWELS = {"CYRILLIC": set("аеёиоуыэюяіїє"), "GREEK": set("αεηιουωάέήίόύώϊϋΐΰ")}
_LEVEL_ONE = {"gb18030": ("gb2312", 0xB0, 0xD7), "big5": ("big5", 0xA4, 0xC6), "cp932": ("euc_jp", 0xB0, 0xCF)}
"""Where the characters that are in use stand, apart from the rare ones: the codec, and its first bytes."""

_GOOD_ENOUGH = 0.7


@dataclass(frozen=True, slots=True)
class FoundEncoding:
    """An encoding. `sample` is a word that it decided about, `others` are encodings that read it as well as this one.

    `damaged`: UTF-8 with bytes that are none, which become U+FFFD.
    """

    name: str
    sample: str | None = None
    others: tuple[str, ...] = ()
    damaged: bool = False

    @property
    def errors(self) -> str:
        """How what cannot be read is to be treated, as `open` takes it."""
        return "replace" if self.damaged else "strict"

    @property
    def note(self) -> str | None:
        """A sentence about what was found out, None where the file said it itself."""
        if self.sample is None:
            return None
        other = f"; if that is wrong, give --encoding, such as {self.others[0]}" if self.others else ""
        return f"read as {self.name}, in which a name is {self.sample!r}{other}"


def find_encoding(file: BinaryIO, source: str, told: str | None = None) -> FoundEncoding:
    """The encoding of a file that is read from its beginning. `told` is taken without looking.

    Raises InvalidInput for an encoding that there is not, and when nobody can know it.
    """
    if told is not None:
        try:
            return FoundEncoding(codecs.lookup(told).name)
        except LookupError as error:
            raise InvalidInput("encoding", f"{told!r} is none; write one like utf-8, cp1252 or cp1250") from error
    start = file.read(2048)
    if named := next((name for mark, name in _BOMS if start.startswith(mark)), None):
        return FoundEncoding(named)
    if wide := _without_mark(start):
        return FoundEncoding(wide)
    file.seek(0)
    whole = broken = 0
    looked_at = bytearray()
    for line in file:
        if line.isascii():
            continue
        try:
            line.decode()
        except UnicodeDecodeError:
            broken += 1
        else:
            whole += 1
        if len(looked_at) < _MOST_LOOKED_AT:
            looked_at += line[:_MOST_LOOKED_AT]
    if not broken:
        return FoundEncoding("utf-8-sig")
    if (whole and whole >= broken) or _is_mostly_whole(looked_at):
        return FoundEncoding("utf-8-sig", damaged=True)
    return _guess(bytes(looked_at), source)


def _without_mark(start: bytes) -> str | None:
    """UTF-16 that lacks its mark: every other byte of Latin text is zero."""
    for offset, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        half = start[offset::2]
        if len(half) > 4 and half.count(0) > 0.7 * len(half):
            return name
    return None


def _is_mostly_whole(data: bytes | bytearray) -> bool:
    """Whether most of it is UTF-8 though it has no lines that could be counted."""
    read = data.decode("utf-8", "replace")
    lost = read.count("\ufffd")
    return sum(not letter.isascii() for letter in read) - lost > 3 * lost


def _guess(data: bytes, source: str) -> FoundEncoding:
    scored: list[tuple[float, str, str]] = []
    for name in _CANDIDATES:
        try:
            words = _words(data.decode(name))
        except UnicodeDecodeError:
            continue
        if words:
            marks = [_likelihood(word, name) for word in words]
            best = words[max(range(len(words)), key=lambda place: (marks[place], len(words[place])))]
            scored.append((sum(marks) / len(marks), name, best))
    top = max((score for score, _, _ in scored), default=0.0)
    good = [(name, sample) for score, name, sample in scored if score > top - 0.02]
    if top < _GOOD_ENOUGH:
        raise InvalidInput(
            source, "is not UTF-8, and its letters show no other encoding; say which with --encoding, such as cp1252"
        )
    name, sample = good[0]
    others = tuple(one for one, read in good[1:] if read != sample)
    readings = {_script(sample), *(_script(read) for one, read in good[1:] if one in others)}
    if len(readings) > 1 or (others and readings == {"CJK"}):
        said = " or ".join(f"{one} ({read})" for one, read in good[:3])
        raise InvalidInput(source, f"may be {said}; say which with --encoding")
    return FoundEncoding(name, sample, others)


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(word for word in _WORD.findall(text) if not word.isascii()))


def _likelihood(word: str, encoding: str) -> float:
    """How much a word looks like one, from 0 to 1."""
    marks = 1.0
    for place, letter in enumerate(word):
        category = unicodedata.category(letter)
        if letter.isascii() or category[0] == "L" or (category[0] == "M" and encoding == "cp874"):
            continue
        if (letter in "“„‘" and not place) or (letter == "”" and place) or (letter in "’ªº" and place):
            continue
        if category == "Pd" and len(word) == 1:
            continue
        marks = min(marks, 0.3 if category == "Pd" else 0.0)
    letters = [letter for letter in word if letter.isalpha()]
    scripts = {_script(letter) for letter in letters}
    if marks == 0 or not letters:
        return marks * 0.5
    if scripts - {"HIRAGANA", "KATAKANA", "CJK"} and len(scripts) > 1:
        return 0.0
    return marks * min(_by_case(word, letters), _by_script(letters, next(iter(scripts)), encoding))


def _by_case(word: str, letters: Iterable[str]) -> float:
    """A capital after a small letter is one of McDonald's at best, and of no letter beyond a to z."""
    odd = any(small.islower() and large.isupper() and not large.isascii() for small, large in pairwise(word))
    odd |= len(word) > 2 and word[:2].isupper() and word[1].isalpha() and not word[1].isascii() and not word.isupper()
    odd |= any(small.islower() and large.isupper() for small, large in pairwise(word)) and not any(
        word.startswith(start) for start in ("Mc", "Mac", "De", "Di", "Le", "La", "Van", "O’", "D’", "L’")
    )
    return 0.0 if odd else 1.0


def _by_script(letters: list[str], script: str, encoding: str) -> float:
    if script == "LATIN":
        return _latin("".join(letters).lower(), encoding)
    if script in _VOWELS:
        vowels = sum(letter.lower() in _VOWELS[script] for letter in letters) / len(letters)
        ends = script == "GREEK" and ("ς" in letters[:-1] or letters[-1] not in "αεηιουωάέήίόύώςνρΑΕΗΙΟΥΩΣΝΡ")
        capitals = 0.9 if "".join(letters).isupper() else 1.0 if letters[0].isupper() else 0.8
        return (0.4 if len(letters) > 3 and vowels < 0.2 else 1.0) * (0.5 if ends else 1.0) * capitals
    if encoding in _LEVEL_ONE:
        common = sum(_is_common(letter, encoding) for letter in letters) / len(letters)
        return common * (0.95 if encoding == "big5" or all(one.encode(encoding)[0] < 0xC9 for one in letters) else 1)
    if encoding == "cp949":
        return sum("가" <= letter <= "힣" and len(letter.encode("euc_kr")) == 2 for letter in letters) / len(letters)
    if script == "HEBREW":
        return 0.0 if any(letter in "ךםןףץ" for letter in letters[:-1]) else 1.0
    return {"ARABIC": 1.0, "THAI": 0.9}.get(script, 0.5)


def _latin(letters: str, encoding: str) -> float:
    foreign = "".join(letter for letter in letters if not letter.isascii())
    if not foreign:
        return 1.0
    languages = (one for one in _LANGUAGES.get(encoding, ()) if set(foreign) <= set(one))
    known = max((_RARE.get(one, 1.0) for one in languages), default=0.5)
    if "õ" in foreign and "õe" not in letters:  # not Portuguese; Hungarian in another encoding, or Estonian
        known = min(known, 0.85)
    return known * (0.3 if len(letters) > 2 and len(foreign) > 0.6 * len(letters) else 1.0)


def _is_common(letter: str, encoding: str) -> bool:
    codec, first, last = _LEVEL_ONE[encoding]
    if "ぁ" <= letter <= "ヶ" and encoding == "cp932":
        return True
    try:
        return first <= letter.encode(codec)[0] <= last
    except UnicodeEncodeError:
        return False


@lru_cache(maxsize=4096)
def _script(text: str) -> str:
    """LATIN, CYRILLIC, CJK …, by the first letter's name."""
    letter = next((one for one in text if one.isalpha() and not one.isascii()), text[:1])
    return "LATIN" if letter.isascii() else unicodedata.name(letter, "?").split()[0].split("-")[0]
