"""Text files as they lie on a disk or come over HTTP: opened in their encoding, as often as they are to be read."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from tidings.errors import InvalidInput
from tidings.messages.contacts.files.encodings import FoundEncoding, find_encoding

OpenText = Callable[[], TextIO]
"""Opens a text once more from its beginning, with its line ends as they are."""

WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How spreadsheets begin: .xlsx and .ods, and the old .xls."""


_LOOKED_AT = 200
_NO_TABLES = {
    b"begin:vcard": "an address book of vCards",
    b"begin:vcalendar": "a calendar",
    b"<!doctype": "a web page, whatever it is called",
    b"<html": "a web page, whatever it is called",
    b"<table": "a web page, whatever it is called",
    b"<?xml": "XML",
    b"[{": "JSON",
    b'{"': "JSON",
    b"%pdf": "a PDF",
}
"""How other files begin that people hand over, in small letters."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """A text, and what was found out about its encoding; None: it was no bytes."""

    open: OpenText
    encoding: FoundEncoding | None = None


def open_text(content: Path | bytes | str, source: str, encoding: str | None = None) -> TextFile:
    """A file that may be larger than memory, or its content. Without `encoding` it is found out.

    Raises InvalidInput when it is no text, cannot be read in the told encoding, or in none that can be found.
    """
    if isinstance(content, str):
        _check_kind(content[:_LOOKED_AT].encode("utf-8", "replace"), source)
        return TextFile(partial(io.StringIO, _checked(content, source).removeprefix("\ufeff"), newline=""))
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        start = file.read(_LOOKED_AT)
        if start.startswith(WORKBOOKS):
            raise InvalidInput(source, "is a spreadsheet workbook; save it as CSV UTF-8")
        _check_kind(start, source)
        file.seek(0)
        found = find_encoding(file, source, encoding)
    options: dict[str, Any] = {"encoding": found.name, "errors": found.errors, "newline": ""}
    if isinstance(content, bytes):
        opened = TextFile(lambda: io.TextIOWrapper(io.BytesIO(content), **options), found)
    else:
        opened = TextFile(lambda: content.open(**options), found)
    _check_encoding(opened, source)
    return opened


def _check_kind(start: bytes, source: str) -> None:
    """Raises InvalidInput for what is text and no table."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for sign, what in _NO_TABLES.items():
        if text.startswith(sign):
            raise InvalidInput(source, f"is {what}, not a table; save it as CSV UTF-8")


def _check_encoding(file: TextFile, source: str) -> None:
    assert file.encoding is not None
    number = 0
    try:
        with file.open() as lines:
            for number, _ in enumerate(lines, start=1):  # noqa: B007  # the line where it fails is told
                pass
    except UnicodeError as error:
        sentence = f"cannot be read as {file.encoding.name} after line {number}; give another --encoding"
        raise InvalidInput(source, sentence) from error


def _checked(text: str, source: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(source, "holds half a character (a lone surrogate); save it as CSV UTF-8 again") from error
    return text
