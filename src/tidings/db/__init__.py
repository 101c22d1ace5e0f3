"""The database: engine, portable column types, migrations. SQLite when embedded, PostgreSQL in production."""
