"""An HTTP server on loopback, in a process of its own, that takes messages and notes when each arrived."""
