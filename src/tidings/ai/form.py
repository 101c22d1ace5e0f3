"""What no message may look like, whatever it says: empty, with gaps to fill in, with marks, about its own making."""

from __future__ import annotations

import re
import unicodedata

from tidings.ai.ordinary import ENGLISH

LONGEST = 4_000
"""Characters. No channel takes a longer text, and none is read by the guard."""

_PLACEHOLDER = re.compile(
    r"\[[^\]\n]*\]|\{[^}\n]*\}+|<[^>\n]+>|%[sd]\b|\$\w*[A-Za-z_]\w*\b|\b(?:x{3,}|tbd|tba|n/a|lorem ipsum)\b|_{3,}"
    r"|\b(?:undefined|null|nan|none)\b(?=[\s,.!?]*$|,)|\binsert (?:your|the|name|link|date)\b|\byour name here\b",
    re.IGNORECASE,
)
_MARKDOWN = re.compile(
    r"\*\*|__|~~|`|(?m:^\s{0,3}#{1,6}\s)|(?m:^\s*[-*•+]\s+)|(?m:^\s*[0-9]+[.)]\s+)|(?m:^\s*>)|\|.*\||(?<!\w)\*[^*\n]+\*(?!\w)"
    r"|(?<!\w)_[^_\n]+_(?!\w)"
)
_ABOUT_ITSELF = re.compile(
    r"\bas an? (?:ai|a\.i\.|artificial intelligence|assistant|language model|chat ?bot)\b"
    r"|\b(?:language model|chatgpt|openai|ai[- ](?:assistant|generated|model))\b"
    r"|\bi(?:'m| am) (?:just )?an? (?:ai|bot|chat ?bot|assistant|virtual)\b"
    r"|\bhere(?:'s| is| are)\b[^.!?\n]{0,40}\b"
    r"(?:message|text|draft|version|rewrite|options?|sms|email|reply|response)\b"
    r"|\b(?:system|your|this|the) (?:prompt|template|instructions?)\b"
    r"|\b(?:given|provided|following|above) (?:facts|data|info)"
    r"|\bbased on the (?:facts|data|information)\b|\bhints\b"
    r"|\bignore (?:all |any )?(?:previous|prior|the above)\b"
    r"|\bi(?:'m sorry, but| cannot| can't| am unable to| am not able to|'m unable to|'m not able to)\b"
    r"|^(?:sure|certainly|absolutely|of course|okay|ok)[,!:.]"
    r"|^(?:subject|message|sms|text|note|draft|reply|answer|output)\s*:"
    r"|\b(?:option|version) (?:1|a|one)\b|\b(?:rewritten|personali[sz]ed|revised) (?:message|version|text)\b"
    r"|\b(?:character|word|length) (?:limit|count)\b"
    r"|\blet me know if you(?:'d| would) like (?:me to|any changes|a different)",
    re.IGNORECASE | re.MULTILINE,
)
_TYPOGRAPHIC = frozenset("–—‘’“”…•·€£¥₹¢")


def fault(text: str, template: str) -> str | None:
    """The sentence why `text` cannot be a message. What the template itself has is allowed."""
    if not text.strip():
        return "the answer is empty"
    if len(text) > LONGEST:
        return f"the answer has {len(text):,} characters, more than any message"
    for pattern, sentence in (
        (_PLACEHOLDER, "it has the placeholder '{}'"),
        (_MARKDOWN, "it has the mark-up '{}'"),
        (_ABOUT_ITSELF, "it speaks about its own making: '{}'"),
    ):
        for match in pattern.finditer(text):
            if match.group().strip().casefold() not in template.casefold():
                return sentence.format(match.group().strip())
    if text.islower() and not template.islower():
        return f"it is written without capital letters, by which names are known: '{text[:40]}'"
    return _foreign(text)


def unfamiliar(text: str, known: frozenset[str], words: frozenset[str]) -> str | None:
    """The first word or sign beyond ASCII that the facts do not have; `words` are casefolded.

    So a day in another language, an emoji that shows a time and a letter that only looks Latin are refused.
    """
    for match in re.finditer(r"\w+(?:[-']\w+)*", text):
        if not match.group().isascii() and not _has(match.group().casefold().removesuffix("'s"), words):
            return match.group()
    for character in text:
        plain = character.isascii() or character in _TYPOGRAPHIC or character in known
        if not plain or (ord(character) < 32 and character != "\n"):
            return character if character.isprintable() else unicodedata.name(character, f"U+{ord(character):04X}")
    return None


def _has(word: str, words: frozenset[str]) -> bool:
    return word in words or all(part in words or part.isascii() for part in word.split("-"))


def _foreign(text: str) -> str | None:
    # Names say nothing about the language, nor do addresses.
    spoken = re.findall(r"(?<![\w/.@-])[^\W\d_]+(?:'[^\W\d_]+)*(?![/@\w])", text)
    spoken = [word for word in spoken if word.islower() or word.casefold() in ENGLISH]
    english = sum(word.casefold() in ENGLISH for word in spoken)
    if len(spoken) >= 4 and english < len(spoken) / 5:
        return f"it is not in English, the only language that can be checked: '{text[:40]}'"
    return None
