"""What is decided without a database: when a burst is answered, which knowledge fits, what an event says."""
