"""The widget's page and script as they are shipped, and what a chatbot's own page has of its look."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from tidings.features.chat.widget.look import WidgetLook, holders

GREETING = "Hello! How can we help you?"
PLACEHOLDER = "Write a message"
COLOR = "#1f5fbf"

_BLOCK = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)
_PLACE = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True)
class WidgetPage:
    """The page with places for the chatbot's words. `policy` lets its own style and script run and nothing else."""

    template: str
    policy: str

    def filled(self, name: str, look: Any) -> str:
        """The page of one chatbot; its words are escaped, and stand in attributes and texts only."""
        chosen = WidgetLook.stored(look)
        words = {
            "title": chosen.title or name,
            "greeting": chosen.greeting or GREETING,
            "placeholder": chosen.placeholder or PLACEHOLDER,
            "color": chosen.color or COLOR,
            "ink": ink_on(chosen.color or COLOR),
        }
        return _PLACE.sub(lambda place: html.escape(words[place[1]]), self.template)

    def policy_for(self, allowed_origins: Sequence[str]) -> str:
        """The Content-Security-Policy (CSP Level 3) of a chatbot's page: who may hold it in a frame, too."""
        return f"{self.policy}; frame-ancestors {holders(allowed_origins)}"


@cache
def read_page() -> WidgetPage:
    """The page as it is shipped, with the hashes of its style and script."""
    template = _read("widget.html")
    hashes: dict[str, list[str]] = {"style": [], "script": []}
    for kind, text in _BLOCK.findall(template):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        hashes[kind].append(f"'sha256-{digest}'")
    parts = [
        "default-src 'none'",
        *(f"{kind}-src {' '.join(found)}" for kind, found in hashes.items()),
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return WidgetPage(template, "; ".join(parts))


@cache
def read_script() -> str:
    """The script that other pages load."""
    return _read("embed.js")


def ink_on(color: str) -> str:
    """Black or white, whichever is easier to read on `color` (WCAG 2.2, contrast ratio by relative luminance)."""
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#ffffff" if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 else "#111111"


def _read(name: str) -> str:
    return files("tidings.features.chat.widget").joinpath("pages", name).read_text("utf-8")
