"""What a text says about signing up: the keyword or a yes, with nothing but politeness around it; and our answers."""

from __future__ import annotations

import re
import unicodedata

from tidings.messages.contacts.numbers.countries import country_of
from tidings.messages.inbound.keywords import read_command
from tidings.messages.tenants import Sender

LONGEST = 80
"""Characters of a text that may be a keyword with politeness around it."""

ASKED_TWICE_IN = frozenset({"AT", "CH", "DE", "GR", "LU", "NO"})
"""Countries whose courts and regulators want advertising by message proven by a second yes.

In Germany the sender has to prove each consent (UWG section 7; BGH, 10 February 2011, I ZR 164/09), in Austria TKG
2021 section 174 asks the same; the others follow in practice. Elsewhere a keyword that comes from the phone itself is
proof enough, and the confirmation that everybody gets says how to stop.
"""

_WORD = re.compile(r"\w+", re.UNICODE)
_KEYWORD = re.compile(r"\w+(?: \w+){0,2}", re.UNICODE)

_POLITE = frozenset(
    [
        "please",
        "pls",
        "plz",
        "thanks",
        "thank",
        "you",
        "ty",
        "hi",
        "hello",
        "hey",
        "ok",
        "okay",
        "now",
        "me",
        "in",
        "up",
        "bitte",
        "danke",
        "hallo",
        "hola",
        "gracias",
        "por",
        "favor",
        "ya",
        "bonjour",
        "merci",
        "svp",
        "ciao",
        "grazie",
        "alsjeblieft",
        "alstublieft",
        "dank",
        "bedankt",
        "oi",
        "obrigado",
        "obrigada",
        "the",
        "i",
        "want",
        "to",
    ]
)

_YES = frozenset(
    [
        "yes",
        "y",
        "yep",
        "yeah",
        "yup",
        "sure",
        "confirm",
        "confirmed",
        "agree",
        "si",
        "sí",
        "ja",
        "jawohl",
        "oui",
        "o",
        "sim",
        "tak",
        "evet",
        "da",
        "да",
        "ano",
        "áno",
        "kyllä",
        "joo",
        "igen",
        "ναι",
        "はい",
        "是",
        "是的",
        "好",
        "好的",
        "네",
        "예",
        "نعم",
        "כן",
        "हाँ",
        "ใช่",
        "có",
        "ya",
        "iya",
    ]
)

_NO = frozenset(
    {
        "no",
        "nope",
        "nein",
        "non",
        "nao",
        "não",
        "nie",
        "ne",
        "nee",
        "nej",
        "nei",
        "ei",
        "нет",
        "hayır",
        "不",
        "いいえ",
    }
)

_TEXTS = {
    "en": (
        "{who}: reply YES to get our promotional texts. Message and data rates may apply. Reply HELP for help, "
        "STOP to end.",
        "{who}: you are signed up. Message and data rates may apply. Reply HELP for help, STOP to unsubscribe.",
    ),
    "de": (
        "{who}: Antworten Sie JA, um Werbung per SMS zu erhalten. HELP für Hilfe, STOP zum Beenden.",
        "{who}: Sie sind angemeldet. Antworten Sie HELP für Hilfe, STOP zum Abmelden.",
    ),
    "fr": (
        "{who}: répondez OUI pour recevoir nos offres par SMS. HELP pour de l'aide, STOP pour arrêter.",
        "{who}: votre inscription est confirmée. HELP pour de l'aide, STOP pour vous désinscrire.",
    ),
    "es": (
        "{who}: responda SI para recibir nuestras ofertas por SMS. HELP para ayuda, STOP para terminar.",
        "{who}: su suscripción está confirmada. HELP para ayuda, STOP para darse de baja.",
    ),
    "it": (
        "{who}: rispondi SI per ricevere le nostre offerte via SMS. HELP per aiuto, STOP per terminare.",
        "{who}: iscrizione confermata. HELP per aiuto, STOP per disiscriversi.",
    ),
    "nl": (
        "{who}: antwoord JA om onze aanbiedingen per sms te krijgen. HELP voor hulp, STOP om te stoppen.",
        "{who}: u bent aangemeld. HELP voor hulp, STOP om u af te melden.",
    ),
}
"""The question and the confirmation by language; STOP and HELP are understood in all of them."""


def read_keyword(raw: str) -> str:
    """A keyword as it is stored: in capitals, one to three words.

    Raises ValueError with a sentence for one that people would mean otherwise.
    """
    keyword = _plain(raw).upper()
    if not _KEYWORD.fullmatch(keyword) or not 2 <= len(keyword) <= 40 or not re.search(r"[^\W\d_]", keyword):
        raise ValueError("is no keyword; write one to three words of letters and digits, such as JOIN")
    if keyword.casefold() in _NO:
        raise ValueError("is what people say who do not want to; write another word, such as JOIN")
    reading = read_command(keyword)
    if reading.command is not None or reading.unsure:
        raise ValueError("is read as STOP, START or HELP; write another word, such as JOIN")
    if said_word(keyword) != keyword or keyword.casefold() in _YES:
        raise ValueError("is said in other texts as well; write another word, such as JOIN")
    return keyword


def said_word(text: str) -> str | None:
    """What a text says beside politeness, in capitals; None when that is nothing, or too much to be a keyword."""
    if len(text) > LONGEST:
        return None
    words = _WORD.findall(_plain(text))
    said = [word for word in words if word.casefold() not in _POLITE]
    return " ".join(said).upper() if 1 <= len(said) <= 3 else None


def is_yes(word: str) -> bool:
    """Whether a said word is a plain yes, in any of the languages that we ask in, and some more."""
    return word.casefold() in _YES


def asks_twice(setting: bool | None, region: str, phone: str) -> bool:
    """Whether who texts the keyword is asked to confirm it: as the shop says, else as the country of either wants."""
    return setting if setting is not None else bool({region, country_of(phone)} & ASKED_TWICE_IN)


def question(sender: Sender, locale: str) -> str:
    """Asks somebody to confirm their sign-up."""
    return _texts(locale)[0].format(who=_who(sender))


def welcome(sender: Sender, locale: str) -> str:
    """Confirms a sign-up: whose messages these are, and how they end (CTIA Messaging Principles, section 5.1.2)."""
    return _texts(locale)[1].format(who=_who(sender))


def _texts(locale: str) -> tuple[str, str]:
    return _TEXTS.get(re.split(r"[-_]", locale.lower())[0], _TEXTS["en"])


def _who(sender: Sender) -> str:
    return f"{sender.brand} ({sender.programme})" if sender.programme else sender.brand


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split())
