"""The commonest requests for no more messages in French, Spanish, Portuguese, Italian, German and Dutch.

The patterns run over a clause as `reading` leaves it: no case, accents, apostrophes or punctuation.
"""

from __future__ import annotations

import re

_NEWS = r"(?:messages?|mensajes?|mensagens|mensagem|messaggi|nachrichten|berichten|sms|textos?|textes?|smsen)"

_FRENCH = (
    rf"arretez? de m\w+|arretez? (?:ces|vos|les|tes) {_NEWS}|plus de {_NEWS}(?= svp| merci|$)"
    r"|ne (?:me |m)(?:contacte|ecris|ecrivez|envoie|derange|envoyez|contactez|derangez)\w* (?:plus|pas)"
    r"|desabonne(?:z|r)? moi|me desabonner|me desinscrire"
    r"|(?:laisse|laissez|fiche|fichez|foutez) moi (?:tranquille|la paix)"
    r"|(?:retirez|supprimez|enlevez) (?:moi|mon numero)|je ne veux plus (?:de|recevoir|ces|vos)"
)
_SPANISH = (
    r"no me (?:escrib|mand|envi|contact|molest)\w* (?:mas|mensajes)"
    r"|(?:no|ya no) (?:quiero|deseo) (?:recibir|mas|estos|mensajes)|^no mas$"
    rf"|deja\w* de (?:escrib|mand|envi|molest|contact)\w+|no mas {_NEWS}"
    r"|(?:dar|de|den)me de baja|borr\w+ mi numero|deje(?:n)?me en paz"
)
_PORTUGUESE = (
    r"pare\w* de (?:me )?(?:mandar|enviar|escrever|incomodar|contatar)|nao (?:quero|desejo) (?:mais )?receber"
    rf"|nao me (?:mand|envi|escrev|contat|incomod)\w+ mais|chega de {_NEWS}|me (?:tire|remova|descadastre)"
    r"|(?:remova|apague) (?:o )?meu numero"
)
_ITALIAN = (
    r"non (?:scriv|contatt|mand|invi|disturb)\w+ piu|non mi (?:scriv|contatt|mand|invi|disturb)\w+ piu"
    rf"|non voglio (?:piu )?ricevere|basta {_NEWS}|smette\w+ di (?:scriv|mand|invi|disturb|contatt)\w+"
    r"|cancella(?:temi|mi)|lascia(?:temi|mi) in pace"
)
_GERMAN = (
    rf"keine? (?:weiteren? )?{_NEWS} mehr|keine weiteren {_NEWS}|hor(?:en|t)? (?:sie )?(?:bitte )?auf"
    r"|(?:schreib|kontaktier)\w* (?:sie )?(?:mir|mich|uns)? ?(?:bitte )?(?:nicht|nie) (?:mehr|wieder)"
    r"|mochte (?:ich )?keine \w+ mehr|lass\w* (?:sie )?(?:mich|uns) (?:bitte )?in ruhe"
    r"|meld\w* (?:sie )?mich (?:bitte )?(?:ab|von)|losch\w* (?:sie )?(?:bitte )?meine nummer"
)
_DUTCH = (
    rf"geen (?:verdere )?{_NEWS} meer|stop met \w+|(?:laat|laten) (?:me|mij) met rust|schrijf me uit|wil geen {_NEWS}"
)

REQUESTS_ABROAD = re.compile(rf"\b(?:{'|'.join((_FRENCH, _SPANISH, _PORTUGUESE, _ITALIAN, _GERMAN, _DUTCH))})\b")
