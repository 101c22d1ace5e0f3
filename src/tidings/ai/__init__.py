"""Messages written by a language model, and the guard that checks every one. No database, no queue, no channel."""
