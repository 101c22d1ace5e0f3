"""Pure rules of the shops: no database, no queue."""
