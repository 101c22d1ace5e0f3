"""Everything that can go wrong, in one tree.

TidingsError
├── UserError                    somebody can mend it: the sentence says what to change
│   ├── InvalidInput             a field holds something unusable (HTTP 422)
│   │   ├── InvalidFields        several fields do; each is named
│   │   └── InvalidRows          a file has bad lines; each is named, none was imported
│   ├── NotFound                 no such event, contractor, message … (HTTP 404)
│   ├── Conflict                 the present state forbids it (HTTP 409)
│   ├── TooLarge                 more bytes than allowed (HTTP 413)
│   └── ConfigurationError       a setting or a server has to change before Tidings can start
├── QueueUnavailable             Redis does not answer; rows are safe and their jobs follow later (HTTP 503)
├── DatabaseUnavailable          the database is away, or too busy with others; it may succeed later (HTTP 503)
├── TemplateError                a text that cannot be rendered; names the variable or the position
└── SendError                    a provider did not take a message; says whether and when to try again
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class TidingsError(Exception):
    """Base of every error that Tidings raises on purpose."""


class UserError(TidingsError):
    """An error whose sentence tells a person what to change."""


class InvalidInput(UserError):
    """A value that cannot be used.

    `field` is the dotted path of the value in the input, e.g. ``sessions.3.end_time``.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message

    @property
    def mistakes(self) -> Sequence[InvalidInput]:
        """The mistakes that this error tells: itself, or those that it sums up."""
        return (self,)

    @property
    def count(self) -> int:
        """How many mistakes there are."""
        return 1


class InvalidFields(InvalidInput):
    """Several values that cannot be used; the sentence has ten of them. `field` and `message` are the first one's.

    `count` is how many there are, `mistakes` may be fewer.
    """

    def __init__(self, mistakes: Sequence[InvalidInput], count: int) -> None:
        super().__init__(mistakes[0].field, mistakes[0].message)
        said = [str(mistake) for mistake in mistakes[:10]]
        more = [f"and {count - len(said)} more"] if count > len(said) else []
        self.args = (f"{count} values cannot be used: {'; '.join([*said, *more])}",)
        self._mistakes, self._count = tuple(mistakes), count

    @property
    def mistakes(self) -> Sequence[InvalidInput]:
        return self._mistakes

    @property
    def count(self) -> int:
        return self._count


@dataclass(frozen=True)
class BadRow:
    """One unusable line of a file; `line` counts from 1 and includes the header."""

    line: int
    field: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.field}: {self.message}"


class InvalidRows(InvalidInput):
    """A file with unusable lines. Nothing of it was imported."""

    def __init__(self, source: str, rows: Sequence[BadRow]) -> None:
        noun = "line" if len(rows) == 1 else "lines"
        super().__init__(source, f"{len(rows)} {noun} cannot be imported; nothing was imported")
        self.rows = tuple(rows)


class NotFound(UserError):
    """Something named by an id or a key does not exist."""

    def __init__(self, kind: str, key: object) -> None:
        super().__init__(f"there is no {kind} {key}")
        self.kind = kind
        self.key = key


class Conflict(UserError):
    """The request contradicts what is stored or under way."""


class TooLarge(UserError):
    """The input has more bytes than the limit."""


class ConfigurationError(UserError):
    """Tidings cannot start or go on until a setting or a server is changed."""


class QueueUnavailable(TidingsError):
    """Redis did not answer. What was committed stays; recovery adds the missing jobs when it is back."""


class DatabaseUnavailable(TidingsError):
    """The database could not be reached, or others were in the way for too long. The same may succeed later.

    Where it went away during a commit, nobody knows whether that was done. `retry_after` is in seconds.
    """

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TemplateError(TidingsError):
    """A message text that cannot be rendered.

    `variable` is the name that was missing, or None when the template itself is malformed.
    """

    def __init__(self, message: str, *, variable: str | None = None) -> None:
        super().__init__(message)
        self.variable = variable


class SendError(TidingsError):
    """A provider did not take a message.

    `retryable` says whether the same message may succeed later; `retry_after` is the number of
    seconds the provider asked for (RFC 9110, section 10.2.3), in which case waiting costs no attempt.
    `throttled`: the provider gets too many messages at once (RFC 6585, section 4), and all of them slow down.
    `unknown`: it may have taken the message all the same: everything was handed over, and no answer came that says.
    `away`: the message was not handed over, as the provider could not be reached or is not ready for anybody's
    messages. It costs no attempt: the provider rests, for `retry_after` at least, and its messages wait until it is
    back. With `of_account` this concerns only the account through which the message was to leave. What concerns one
    message alone is never `away`. With both `unknown` and `away` (a gateway gave up), the message is held where the
    provider does not drop repetitions, and waits where it does.
    """

    def __init__(
        self,
        message: str,
        *,
        retryable: bool,
        retry_after: float | None = None,
        throttled: bool = False,
        unknown: bool = False,
        away: bool = False,
        of_account: bool = False,
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after
        self.throttled = throttled
        self.unknown = unknown
        self.away = away
        self.of_account = of_account
