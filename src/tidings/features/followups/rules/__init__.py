"""Pure rules of the follow-ups: no database, no queue."""
