"""Daily figures of a shop."""
