"""Ways out: one file per provider. A channel knows its provider's protocol, and no database and no queue."""
