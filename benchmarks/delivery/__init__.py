"""A burst: many messages due at once, each read from its row, posted and written down."""
