"""What asks nothing, or nothing that can be read without an AI: thanks, emoji, stickers, voice messages, pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

ONCE_IN = timedelta(hours=6)
"""How often somebody is told in one conversation that only text is read."""

_WORDS = """
    ok okay k kk okey alright fine good great perfect super cool nice thanks thank you thx ty tysm thankyou cheers
    thnx tnx tks tq
    much very many so a lot appreciated gotcha understood yay wow lol haha hahaha bye goodbye
    danke dankeschön dankeschoen vielen dank sehr schön gut alles klar prima toll klasse tschüss passt
    merci beaucoup parfait bien d'accord daccord
    gracias muchas vale bueno perfecto genial listo adios adiós
    obrigado obrigada muito perfeito beleza valeu
    grazie mille perfetto bene va ciao
    tack så mycket bra toppen
    bedankt dank je u wel dankjewel hartelijk goed
    takk tusen kiitos dziękuję dziekuje dzięki děkuji hvala köszönöm mulțumesc multumesc
    спасибо большое благодаря дякую ευχαριστώ teşekkürler teşekkür ederim תודה شكرا shukran
    谢谢 謝謝 谢谢你 ありがとう ありがとうございます 감사합니다 고맙습니다
"""
"""Words of thanks and assent in the languages that most people write."""

_PHRASES = re.compile(
    r"\b(?:got it|no problem|np|all good|sounds good|you too|see you|thanks a million|de nada|de rien|mange tak"
    r"|terima kasih|cảm ơn|(?:thanks|thank you) again|have a (?:nice|good|great|lovely) (?:day|evening|one|weekend)"
    r"|for (?:your|the|all your) (?:(?:quick|fast|kind|prompt) )?(?:help|reply|answer|response|support))\b"
)
"""The same in several words, which by themselves may ask for something."""

_COURTESIES = frozenset(_WORDS.split())
_SILENT = re.compile(r"\[(?:sticker|message deleted|request_welcome|call permission[^\]]*|reaction[^\]]*)\]")
"""What nobody wrote to be answered; `request_welcome`: somebody has opened the chat for the first time."""
_UNREADABLE = re.compile(r"\[(?!form\b|order\b)[a-z_]+(?: [^\]]*)?\]", re.ASCII)
"""A placeholder for whatever is no text, also of a type that WhatsApp has thought of since."""

_PUNCTUATION = re.compile(r"[^\w'’\[\]]+|_")


class Wordless(StrEnum):
    """How a message without a question is met where there is no AI: by silence, or by saying what is read."""

    SILENCE = "silence"
    UNREADABLE = "unreadable"


def read_wordless(text: str) -> Wordless | None:
    """What a message is when it asks nothing that could be found in any knowledge; None when it has words to read."""
    bare = text.strip()
    if _SILENT.fullmatch(bare):
        return Wordless.SILENCE
    if _UNREADABLE.fullmatch(bare):
        return Wordless.UNREADABLE
    if "?" in bare or any(map(str.isdecimal, bare)):
        return None
    said = " ".join(word.replace("’", "'").casefold() for word in _PUNCTUATION.split(bare) if word)
    words = _PHRASES.sub("", said).split()
    return Wordless.SILENCE if all(word in _COURTESIES for word in words) and len(words) <= 6 else None


def met_with(texts: Iterable[str]) -> Wordless | None:
    """The same for everything that somebody has written since the last answer."""
    found = [read_wordless(text) for text in texts]
    if not found or None in found:
        return None
    return Wordless.UNREADABLE if Wordless.UNREADABLE in found else Wordless.SILENCE


def is_due(told_at: str | None, now: datetime) -> bool:
    """Whether somebody who was told at `told_at` (ISO 8601) is to be told again."""
    return told_at is None or now - datetime.fromisoformat(told_at) >= ONCE_IN
