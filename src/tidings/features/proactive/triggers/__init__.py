"""The triggers: one file each, found by looking into this package when the feature is put together.

A trigger has `MESSAGE_TYPE`, a docstring that says when it writes, and
`evaluate(state: ContactState, now: datetime) -> Iterable[Suggestion]`. It looks at one contact, reads nothing else
and decides nothing about limits: those are the same for all (`safeguards.py`).
"""
