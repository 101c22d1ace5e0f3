"""The servers that every contestant works with: one PostgreSQL, one Valkey and one sink."""
