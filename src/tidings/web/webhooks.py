"""What providers call: every path under /webhooks/ checks its caller itself, so none of them needs the API key."""

from __future__ import annotations

from secrets import compare_digest

from starlette.exceptions import HTTPException

PREFIX = "/webhooks/"


def require_secret(given: str | None, secret: str | None, *, setting: str, header: str) -> None:
    """Lets a caller in that sends the shared `secret`, compared in constant time.

    Raises HTTPException: 403 when no secret is set up, since anybody could call then, and 401 for a wrong one.
    """
    if not secret or not secret.strip():
        raise HTTPException(403, f"Set {setting} to a long random text, and send the same in the header {header}.")
    if given is None or not compare_digest(given.encode("latin-1"), secret.strip().encode()):
        raise HTTPException(401, f"The header {header} does not hold the secret of {setting}.")
