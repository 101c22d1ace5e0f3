"""The way out: claim, decide, compose, send, record; and what puts lost jobs back."""
