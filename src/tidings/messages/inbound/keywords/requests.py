"""English requests for no more messages, as patterns over a clause as `reading` leaves it.

Every repetition in a pattern is bounded, so that a long text takes time in proportion to its length.
"""

from __future__ import annotations

import re


def _any(listed: str) -> str:
    return f"(?:{listed})"


CONTACTING = _any(
    "texting|messaging|msging|sending|contacting|calling|emailing|writing|spamming|bothering|harassing|bugging|pinging"
    "|notifying|reminding|pestering|annoying|disturbing|wasting my time|blowing up my phone"
)
_CONTACT = _any("text|txt|message|msg|contact|bother|spam|sms|ping|notify|disturb|harass|pester|write|write to")
_ALSO_CONTACT = _any("call|email|mail|write|write to|reach out to")
_NOUNS = _any(
    "texts?|txts?|messages?|msgs?|sms|mms|notifications?|alerts?|spam|updates?|reminders?|emails?|promos?|promotions?"
    "|ads?|marketing|newsletters?|communications?|subscriptions?|whatsapps?|crap|junk|bs|shit"
)
_WHICH = _any(
    "all|any|more|anymore|the|these|those|this|your|ur|you|my|such|of|so|many|other|further|future|with|from|for|text|sms"
    r"|marketing|promotional|automated|\w{1,12}ing"
)
_MESSAGES = rf"(?:(?:{_WHICH} ){{0,4}}{_NOUNS})\b"
_THESE = _any("these|this|those|them|it|any|any of these|any of this|this stuff|anymore")
_ME = _any("me|us|this number|this phone|my phone number|my number|my name|my phone|my info|my data")
_LIST = (
    "(?:(?:of|your|ur|the|this|that|all|any|these|mailing|contact|text|texting|sms|phone|marketing|distribution|call"
    "|calling|messaging) ){0,4}"
    + _any(
        "lists?|texts?|messages?|communications?|database|system|records|contacts|thread|chat|group chat|this|here"
    )
    + r"\b"
)
_AT_LAST = "(?: (?:please|now|immediately|asap|already|at once|thanks|thank you|here|completely)){0,2}"
_UNSUBSCRIBE = _any("unsubscribe|unsub|unsuscribe|unsubcribe|unsubscibe|optout|opt me out|opt us out")
_NEVER = _any("dont|dnt|do not|never|please not")
_NO_LONGER = _any("dont|dnt|doesnt|does not|do not|no longer|never|didnt|did not|not")
_OTHERS_DO_NOT = "(?<!you )(?<!u )(?<!they )(?<!we )(?<!i )(?<!why )"
_AT_AN_HOUR = _any(
    "before|after|until|till|while|during|at|on|today|tonight|tomorrow|late|so late|when|if|that late|back|in the"
)


def _patterns(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(rf"\b(?:{pattern})" for pattern in patterns))


STOPPING = _patterns(
    rf"(?:stop|quit|cease|cease and desist|discontinue)(?: with)? {_MESSAGES}",
    rf"(?:stop|quit|cease|discontinue) {CONTACTING}"
    r"(?: (?:me|us|this|these|it|anything|here|now|please|so|to|my)\b|$)",
)
"""Meant unless the one who will stop is the writer: "I need to stop texting while I drive"."""

REQUESTS = _patterns(
    rf"stop (?:receiving|getting) (?:{_MESSAGES}|{_THESE}$)",
    rf"(?:end|cancel|revoke|withdraw|terminate|pause|turn off|switch off) {_MESSAGES}",
    "(?:revok(?:e|ing)|withdraw(?:ing)?|cancel)(?: my)? (?:consent|permission|authori[sz]ation)",
    r"^(?:please |ok |just )?(?:quit|end) (?:it|this|that)(?: now| please| already)?$",
    r"^(?:please )?no (?:texts|texting|sms|spam|messages|messaging)(?: please)?$",
    rf"(?<!there are )(?<!are there )(?<!have )(?<!got )(?<!is there )no more {_MESSAGES}",
    r"^(?:please |ok |just )?no more(?: please| thanks| thank you| of this| of these)?$",
    rf"enough (?:already|of this|of these|of your|with|{_NOUNS})\b",
    # being on a list
    rf"(?:take|get) {_ME} (?:off|out)(?: of| from)?(?:{_AT_LAST}$| {_LIST})",
    rf"(?:remove|delete|erase|unlist|drop|take) {_ME}{_AT_LAST}(?:$| (?:from|off|out of) {_LIST})",
    r"(?:lose|forget|delete|erase) (?:my|this) (?:phone )?number",
    rf"{_UNSUBSCRIBE}(?:$| (?:of|from) (?:{_MESSAGES}|(?:this|these|here|your|all|it|everything)\b))",
    rf"{_UNSUBSCRIBE} (?:me|us|my|please|now|immediately|asap|thanks|thank|and|or|already|right)\b",
    rf"^(?:please )?{_UNSUBSCRIBE} (?!by|rate|form|link|page|of|from)",
    "(?:already|have) (?:unsubscribed|opted out|said stop|asked you to stop|told you to stop)(?! by)",
    r"(?:want|get) off (?:(?:this|your|ur|the|that) ){0,2}(?:\w{4,12} )?lists?\b",
    rf"^(?:please )?remove (?:from|off) {_LIST}",
    "(?:im|i am) (?:opting out|unsubscribing)|consent (?:is |was )?(?:revoked|withdrawn)|i (?:do not|dont) consent",
    # anger
    "^(?:please |just )?block (?:me|this number)$|(?:if you dont|unless you) stop$",
    r"leave (?:me|us) (?:be\b|(?:\w{1,8} ){0,2}alone\b)",
    "(?:go away|get lost)$|^(?:please |just )?(?:cut it out|knock it off)$|(?:fuck|piss|bugger|buzz|f) off",
    # stop at the end
    r"how (?:do|can|to|would)(?: i| we)? (?:stop|end|get off|cancel|get rid of)"
    r" (?:this|these|it|them|getting|receiving|your)",
    r"(?:make|want|need|like) (?:it|this|these|them|these \w{1,20}) (?:to )?(?:stop|stopped)$",
    "(?<!the )(?<!a )wrong number$",
    "(?:this|these|it) (?:has|have|needs?) to stop$",
    "(?:number|person|interested|spam|annoying|god|sake|please|pls|plz|texts|messages|already) stop(?: it)?$",
    r"why (?:am|are|do|did) (?:i|we|you|u) (?:still |keep |always ){1,2}"
    r"(?:getting|get|receiving|receive|texting|text|messaging|message|sending|spamming|contacting)",
)
"""Meant unless something before turns them round."""

REFUSALS = _patterns(
    # do not text me; never contact this number again
    rf"{_OTHERS_DO_NOT}(?:{_NEVER}|no)(?: (?:ever|please|you|u|dare|keep)){{0,2}} (?:{_CONTACT}|{CONTACTING})"
    rf"(?: or \w{{3,10}})?(?: {_ME}(?! {_AT_AN_HOUR}\b)(?= |$)| (?:again|anymore|any more|ever)\b|(?<!bother)$)",
    rf"{_OTHERS_DO_NOT}{_NEVER}(?: ever)? {_ALSO_CONTACT}(?: or {_CONTACT})?(?: {_ME}| to me| here)?"
    r" (?:again|anymore|any more|ever)\b",
    rf"{_OTHERS_DO_NOT}{_NEVER}(?: (?:ever|please|keep)){{0,2}} send(?:ing)?(?: me| us| to me)?"
    rf"(?: (?:another|a single|one more|anything|any|more|else|these|this|stuff|shit)){{0,4}}"
    rf"(?: {_MESSAGES}| (?:again|anymore)\b|$)",
    # I do not want these; I no longer wish to be contacted; I never signed up for this
    rf"{_NO_LONGER}(?: (?:really|even|ever|actually|wish))? (?:want|need|wanna|wish|care|ask|asked|consent|agree)"
    rf"(?: for| to)?(?: (?:receive|recieve|get|be getting|be receiving|have|see|read))?"
    rf"(?: {_MESSAGES}(?: \w{{1,20}}){{0,4}}| {_THESE}(?: anymore| any more)?)$",
    rf"{_NO_LONGER}(?: (?:really|ever))? (?:want|need|wanna|wish|care)(?: to)? (?:hear from you|hear from them|be "
    r"(?:contacted|texted|messaged|bothered|notified|spammed|called|reminded|disturbed"
    r"|(?:on|in|part of) (?:your|this|the|any|ur) (?:\w{1,12} )?(?:list|chat|group)))",
    r"(?:didnt|did not|never|havent|dont remember|not)(?: even)? (?:sign(?:ed|ing)?|subscribed?|opt(?:ed)?)"
    rf"(?: up| in)? (?:for|to) (?:{_MESSAGES}|{_THESE}$)",
    rf"not interested in (?:{_MESSAGES}|receiving|getting)",
    # whoever has this number now has agreed to nothing
    r"^(?:(?:sorry|hi|hello|hey|i think|no|um) ){0,3}(?:(?:you|u|youve|this is|its)(?: have| got| ve got)? )?"
    r"(?:(?:texted|texting|messaged|messaging) )?(?:the |a )?wrong (?:number|person|phone)\b",
)
"""Requests that are negations themselves, meant unless they end in "to stop"."""

RETURNS = re.compile(
    r"(?:(?:please|pls|can you|could you|hi|so|ok|now) ){0,3}"
    r"(?:i (?:want|would like|wish|need|like) to |id (?:like|love) to |can i |could i |how (?:do|can) i )?"
    r"(?:(?:put|add|sign|opt|get) (?:me|us|my number) (?:back|in again|back in|back on)(?: (?:to|on|in))?"
    r"(?: (?:the|your|this|that)(?: (?:text|texting|sms|mailing|message|messaging|contact))? list)?"
    r"|opt (?:me|us) in|(?:optin|resubscribe|subscribe|unstop|start|resume)"
    r"(?: (?:again|back|up|me|us|to|the|your|these|receiving|getting|sending|texting|messaging|texts?|messages?"
    r"|updates|reminders|alerts)){0,8}"
    r"|(?:(?:you|u) can )?(?:text|message|contact) me again"
    r"|(?:i )?want (?:your|the|these) (?:texts|messages) (?:back|again))"
    r"(?: (?:please|pls|again|now|thanks|thank you)){0,3}"
)
"""Whole clauses that ask for messages again."""
