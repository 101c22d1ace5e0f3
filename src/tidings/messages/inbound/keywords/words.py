"""The keywords, and the politeness that may stand around them."""

from __future__ import annotations

from collections.abc import Collection

from tidings.messages.inbound.keywords.reading import Clause, plain_word


def _plain(*listed: str) -> frozenset[str]:
    return frozenset(plain_word(word) for words in listed for word in words.split())


# Clear wherever they are a clause of their own.
PLAIN_STOP = _plain(
    "stop stopall stoptexting stopp stoppen stops stpo sotp tsop unsubscribe unsub unsuscribe unsubcribe "
    "unsubscibe unsubscrib unsubsribe unsubscirbe optout",
    "arrêt arrêter arrêtez désabonner désabonnez désinscrire désinscription désabonnement",  # French
    "abmelden abbestellen abmeldung",  # German
    "desuscribir desuscribirme desinscribir",  # Spanish
    "descadastrar disiscriviti disiscrivimi",  # Portuguese, Italian
    "afmelden uitschrijven avregistrera avmeld afmeld",  # Dutch, Swedish, Norwegian, Danish
    "стоп отписаться 退订 退訂 停止 拒收 配信停止 수신거부 توقف הסר",
)

# Words of daily life too: they must be all that is said.
_LONELY_STOP = _plain(
    "cancel end quit revoke remove cease enough spam td",
    "alto baja parar para pare detener salir cancelar basta terminar fin sair annuler annulla ende rezilier",
    "إلغاء отмена",
)
_STOP = PLAIN_STOP | _LONELY_STOP

_START = _plain(
    "start unstop subscribe resume resubscribe optin restart",
    "reprendre réabonner abonner empezar reanudar suscribir alta fortsetzen anmelden старт 订阅",
)
_HELP = _plain("help info aide ayuda hilfe ajuda aiuto помощь 帮助 ヘルプ")

POLITENESS = _plain(
    "please pls plz plse pleae kindly now immediately asap today all everything thanks thank thankyou thx ty tks you "
    "u",
    "hi hello hey dear sir madam maam sirs ok okay just right away and forever cheers regards sincerely best",
    "svp stp merci bonjour tout tous por favor gracias hola ya todo todos bitte danke hallo jetzt alle alles sofort",
    "obrigado obrigada olá tudo per favore grazie ciao tutto tutti alstublieft bedankt tack takk tak",
)
_ABOUT_US = _plain("texts text messages message msgs msg sms texting messaging notifications alerts updates emails")
_OBJECTS = POLITENESS | _ABOUT_US | _plain("me us it this these your my the to from of again back sending getting")
_ANSWERS = _plain("yes no yeah yep nope sorry omg wtf lol seriously")


def are_stop(spoken: Clause) -> bool:
    """Whether all that is said is one or several stop words, with politeness, or a clear one among other commands."""
    return _are(spoken, _STOP, POLITENESS) or _are(spoken, PLAIN_STOP, POLITENESS | _START | _HELP)


def are_plainly_stop(clause: Clause) -> bool:
    """Whether one clause is nothing but a stop word that is never meant otherwise."""
    return _are(clause, PLAIN_STOP, POLITENESS | _ANSWERS)


def are_start(spoken: Clause) -> bool:
    """Whether all that is said is to start, or to start the messages again."""
    return _are(spoken, _START, _OBJECTS)


def are_help(spoken: Clause) -> bool:
    """Whether all that is said is a cry for help, with politeness."""
    return _are(spoken, _HELP, POLITENESS | {"me"})


def _are(spoken: Clause, keywords: Collection[str], others: Collection[str]) -> bool:
    return any(word in keywords for word in spoken) and all(word in keywords or word in others for word in spoken)
