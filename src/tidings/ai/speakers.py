"""Who speaks: labels before an answer ("Assistant:"), and turns of a user's that a model went on writing."""

from __future__ import annotations

import re
from itertools import islice

from tidings.ai.code_spans import matches_outside_code

_ROLE = (
    r"(?:(?:(?:GPT4 Correct|AI|virtual) assistant|assistant|AI|(?:chat ?)?bot|ChatGPT|\{\{char\}\}|Assistent(?:in)?"
    r"|Asistente|Assistente|KI)(?:(?:['’]s)? (?:response|reply|answer|message))?)"
)
_SAID = (
    r"(?:(?:support |customer service )?agent|(?:final |your )?answer|response|reply|antwort|respuesta|resposta"
    r"|réponse|risposta|antwoord|svar)"
)
_USER = r"(?:user|human|\{\{user\}\}|customer|client|you|kunde|kundin|nutzer|benutzer|usuario|cliente|utilisateur)"
_ALWAYS_A_TURN = re.compile(
    r"^#{1,6}[ \t]*(?:(?:user|human|instruction)[ \t]*(?::|$)|(?:input|question)[ \t]*:)",
    re.IGNORECASE | re.MULTILINE,
)
_TURN = re.compile(
    rf"^(?:\*\*|__)?\[?({_USER})\]?(?:[ \t]*\([^()\n]{{1,40}}\))?(?:\*\*|__)?[ \t]*:", re.IGNORECASE | re.MULTILINE
)
_BARE = re.compile(
    rf"(?:(?:assistant|model)[ \t]*\n+|(?:#{{1,6}}[ \t]*|\*\*)(?:{_ROLE}|{_SAID})(?:\*\*)?[ \t]*\n+)(?=\S)",
    re.IGNORECASE,
)
_ENTRY = re.compile(r"[ \t]*[^\W\d][\w /-]{0,30}:[ \t]*\S")


def without_labels(text: str, names: tuple[str, ...]) -> str:
    """`text` without the label of who says it, and without the turns after it. `names` are the speaker's own.

    A label stays where it begins a list of such lines ("Response: …, Repair: …"), and so does a user among them.
    """
    announced = _label(_own(names)).match(text)
    if announced and _may_be_an_entry(announced[1], names) and _is_entry(text[announced.end() :]):
        announced = None
    text = text[: _end_of_turn(text, names, announced=bool(announced))]
    if announced:
        return text[announced.end() :]
    if bare := _BARE.match(text):
        return text[bare.end() :]
    said = _label([_SAID]).match(text)
    return text[said.end() :] if said and not _is_entry(text[said.end() :]) else text


def _own(names: tuple[str, ...]) -> list[str]:
    """Patterns of the names under which the model speaks; "Acme" may also be "Acme's assistant"."""
    return [_ROLE, *(rf"{re.escape(name)}(?:(?:['’]s)? (?:assistant|bot|chatbot|support))?" for name in names)]


def _label(words: list[str]) -> re.Pattern[str]:
    return re.compile(
        rf"(?:#{{1,6}}[ \t]*)?(?:\*\*|__)?\[?({'|'.join(words)})\]?(?:[ \t]*\([^()\n]{{1,40}}\))?(?:\*\*|__)?"
        r"[ \t]*[:：](?:\*\*|__)?\s*",
        re.IGNORECASE,
    )


def _may_be_an_entry(label: str, names: tuple[str, ...]) -> bool:
    """Whether a label may also be a word in a list: a city that the chatbot is called after, or "AI"."""
    return label.casefold() in {"ai", "bot", "ki", *(name.casefold() for name in names)}


def _is_entry(rest: str) -> bool:
    """Whether what follows a label's line is another line of the kind, which is no turn."""
    following = rest.partition("\n")[2].lstrip("\n").partition("\n")[0]
    return bool(_ENTRY.match(following)) and not _TURN.match(following) and not _label([_ROLE]).match(following)


def _end_of_turn(text: str, names: tuple[str, ...], *, announced: bool) -> int:
    """Where the answer ends, and the user's next words begin."""
    ends = [match.start() for match in matches_outside_code(_ALWAYS_A_TURN, text)]
    answers = re.compile(rf"^(?:{_label(_own(names)).pattern})", re.IGNORECASE | re.MULTILINE)
    for turn in islice(matches_outside_code(_TURN, text), 20):
        before, after = text[: turn.start()].rstrip(), text[turn.end() :]
        outright = turn[1].casefold() in ("user", "human", "{{user}}")
        if announced or answers.search(after) or (outright and not before.endswith(":") and not _is_entry(after)):
            ends.append(turn.start())
            break
    return min(ends, default=len(text))
