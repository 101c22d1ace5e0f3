"""Spreadsheets (.xlsx, ECMA-376): the rows of one sheet, with numbers as they were entered."""

from __future__ import annotations

import warnings
import zipfile
from dataclasses import dataclass
from datetime import date, datetime, time
from io import BytesIO
from typing import Any

from tidings.errors import InvalidInput
from tidings.messages.contacts.files.tables import Line
from tidings.validation import offer

MOST_BYTES = 100 * 1024 * 1024
"""What a workbook may hold when it is unpacked, in bytes."""
_MOST_COLUMNS = 500
_MOST_ROWS = 200_000


@dataclass(frozen=True, slots=True)
class Workbook:
    """The rows of one sheet that hold anything, and sentences about which one it is; `others` can be seen, too."""

    lines: list[Line]
    said: list[str]
    others: list[str]


def read_workbook(data: bytes, source: str, sheet: str | None = None) -> Workbook:
    """The rows of a sheet, the first one that can be seen where none is named; formulas as what they came to.

    Raises InvalidInput for other kinds of workbooks, broken and protected ones, and a sheet that there is not.
    """
    import openpyxl  # takes long to load

    if not data.startswith(b"PK"):
        raise InvalidInput(
            source, "is an old or a protected workbook; save it without a password as .xlsx or CSV UTF-8"
        )
    try:
        with zipfile.ZipFile(BytesIO(data)) as parts:
            size = sum(part.file_size for part in parts.infolist())
            if "xl/workbook.xml" not in parts.namelist():
                raise InvalidInput(source, "is no .xlsx workbook; save it as .xlsx or CSV UTF-8")
        if size > MOST_BYTES:
            raise InvalidInput(
                source,
                f"unpacks to {size // 1024**2} MB, and {MOST_BYTES // 1024**2} are the most; save it as CSV",
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and the like
            book = openpyxl.load_workbook(BytesIO(data), read_only=True, data_only=True)
            try:
                return _read(book, source, sheet)
            finally:
                book.close()
    except InvalidInput:
        raise
    except Exception as error:  # whatever a broken archive or its XML raises
        raise InvalidInput(
            source, f"cannot be read as a workbook ({type(error).__name__}); save it as CSV UTF-8"
        ) from error


def _read(book: Any, source: str, wanted: str | None) -> Workbook:
    sheets = book.worksheets
    names = [one.title for one in sheets]
    if wanted is None:
        chosen = next((one for one in sheets if one.sheet_state == "visible"), sheets[0] if sheets else None)
    else:
        chosen = next((one for one in sheets if one.title.casefold() == wanted.strip().casefold()), None)
    if chosen is None:
        raise InvalidInput(source, f"has no sheet {wanted!r}{offer(wanted or '', names, taker='the file')}")
    others = ", ".join(name for name in names if name != chosen.title)
    said = (
        [f"read the sheet {chosen.title!r}; --sheet chooses another: {others}"] if others and wanted is None else []
    )
    chosen.reset_dimensions()  # what programs write there is often wrong
    lines: list[Line] = []
    for number, row in enumerate(chosen.iter_rows(values_only=True, max_col=_MOST_COLUMNS), start=1):
        if any(cell is not None for cell in row):
            lines.append(Line(number, [_text(cell) for cell in row]))
            if len(lines) > _MOST_ROWS:
                raise InvalidInput(source, f"has more than {_MOST_ROWS:,} rows; save it as CSV")
    visible = [one.title for one in sheets if one.sheet_state == "visible" and one is not chosen]
    return Workbook(lines, said, visible)


def _text(value: object) -> str:
    """A cell as people see it, but numbers with all their digits."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return str(value)
