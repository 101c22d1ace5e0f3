"""The gate: whether a message may go out, and when."""
