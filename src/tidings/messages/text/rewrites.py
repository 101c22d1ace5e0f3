"""Plain ways to write typographic characters, for alphabets that lack them."""

from __future__ import annotations

import unicodedata

_WRITTEN: dict[str, str] = {
    **dict.fromkeys("‘’‚‛′ʼʹ‹›`´", "'"),
    **dict.fromkeys("“”„‟″«»〝〞", '"'),
    **dict.fromkeys("‐‑‒–—―−⁃", "-"),
    **dict.fromkeys("•‣●▪■◦✓✔", "*"),
    **dict.fromkeys("·∙⋅", "."),
    **dict.fromkeys("→⇒➔➜", "->"),
    **dict.fromkeys("←⇐", "<-"),
    "…": "...",
    "\t": " ",
    "\v": " ",
    "\N{LINE SEPARATOR}": "\n",
    "\N{PARAGRAPH SEPARATOR}": "\n",
    "\N{NEXT LINE}": "\n",
    "⁄": "/",
    "∕": "/",
    "×": "x",
    "÷": "/",
    "±": "+/-",
    "≠": "!=",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "©": "(c)",
    "®": "(R)",
    "œ": "oe",
    "Œ": "OE",
    "ł": "l",
    "Ł": "L",
    "đ": "d",
    "Đ": "D",
    "ħ": "h",
    "Ħ": "H",
    "ı": "i",
    "ð": "d",
    "Ð": "D",
    "þ": "th",
    "Þ": "Th",
    "ẞ": "ß",
    "¢": "c",
    "₹": "Rs",
    "₱": "P",
    "₦": "N",
    "₩": "W",
    "₫": "d",
    "₺": "TL",
    "₴": "UAH",
    "₽": "RUB",
    "₪": "NIS",
}
_CROSSED_OUT = "\N{COMBINING LONG SOLIDUS OVERLAY}"
"""A base without it says the opposite: ≮ is not <."""


def rewritten(character: str) -> str:
    """A plain way to write one character: from the table, else its compatibility form (NFKD) without accents.

    Empty when the character is nothing but an accent or invisible; itself when there is no plainer form.
    """
    if character in _WRITTEN:
        return _WRITTEN[character]
    parts = unicodedata.normalize("NFKD", character)
    if _CROSSED_OUT in parts or unicodedata.category(character) == "Cf":
        return ""
    return "".join(_WRITTEN.get(part, part) for part in parts if not unicodedata.combining(part))
