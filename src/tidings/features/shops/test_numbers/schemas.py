"""What comes in and goes out about test numbers. Times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import StringConstraints

from tidings.fields import Input, Output, Phone


class TestNumberIn(Input):
    """A number of the shop's own people; it gets a code."""

    __test__ = False  # no test of pytest's

    phone: Phone


class TestCodeIn(Input):
    """The code that the number got."""

    __test__ = False

    code: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20)]


class TestNumberOut(Output):
    """A test number. The code that it got counts until `code_until`; once `verified_at` is set it gets tests."""

    __test__ = False

    phone: str
    asked_at: datetime
    code_until: datetime
    verified_at: datetime | None
