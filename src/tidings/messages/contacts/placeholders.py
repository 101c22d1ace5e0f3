"""Words that stand where somebody had nothing to say, or some program no value: `N/A`, `null`, a dash, zeros."""

from __future__ import annotations

import re
import unicodedata

PLACEHOLDERS = frozenset((
    "na", "none", "null", "nil", "nan", "undefined", "unknown", "empty", "blank", "tba", "tbd", "x", "xx", "xxx",
    "asdf", "asdfasdf", "asdfgh", "qwerty", "qwertz",
    "notavailable", "notapplicable", "notprovided", "notset", "noname", "nophone", "nonumber", "noemail", "nomail",
    "ka", "keine", "keineangabe", "unbekannt", "geen", "onbekend", "aucun", "aucune", "inconnu", "inconnue",
    "ninguno", "ninguna", "desconocido", "sinnombre", "sintelefono", "nenhum", "desconhecido", "nessuno",
    "sconosciuto", "ingen", "brak", "nichtangegeben", "saknas", "okänd", "sindato", "noaplica", "nvt",
))  # fmt: skip
"""The words, in small letters and with nothing between them: `N/A` and `n.a.` are na."""

NAMES = frozenset({"Na", "Nan", "Nil", "Ka"})
"""Those that people are called, when they are written so."""

_BETWEEN = re.compile(r"[\W_]+")


def is_placeholder(text: str, *, may_be_name: bool = True) -> bool:
    """Whether a text says nothing: one of PLACEHOLDERS, or neither a letter nor a digit other than 0."""
    if may_be_name and text in NAMES:
        return False
    said = _BETWEEN.sub("", unicodedata.normalize("NFKC", text).casefold())
    return not said.strip("0") or said in PLACEHOLDERS
